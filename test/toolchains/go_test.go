package toolchains_test

var goRows = []row{}
