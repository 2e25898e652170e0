package toolchains_test

var tinygoRows = []row{}
