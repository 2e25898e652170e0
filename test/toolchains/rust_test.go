package toolchains_test

var rustRows = []row{}
