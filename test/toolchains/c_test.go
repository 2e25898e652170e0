package toolchains_test

var cRows = []row{}
