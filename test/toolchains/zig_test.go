package toolchains_test

var zigRows = []row{}
