package toolchains_test

var assemblyscriptRows = []row{}
