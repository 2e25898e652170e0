package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/fluentbit"
)

// families are the values of FAMILY in layout.h, oldest first, with the versions
// that they begin with.
var families = []struct {
	since  [3]int
	number int
}{
	{[3]int{1, 8, 0}, 180},
	{[3]int{2, 1, 0}, 210},
	{[3]int{2, 2, 0}, 220},
	{[3]int{3, 2, 0}, 320},
	{[3]int{5, 0, 3}, 503},
}

// family is the FAMILY of a version. The plugin itself looks at its host instead;
// here a wrong guess costs no more than a column.
func family(version string) (int, error) {
	var v [3]int
	if _, err := fmt.Sscanf(version, "%d.%d.%d", &v[0], &v[1], &v[2]); err != nil {
		return 0, fmt.Errorf("version %q: %w", version, err)
	}
	number := 0
	for _, f := range families {
		if slices.Compare(v[:], f.since[:]) >= 0 {
			number = f.number
		}
	}
	if number == 0 {
		return 0, fmt.Errorf("version %s: layouts are known since 1.8.0", version)
	}
	return number, nil
}

// compile compiles testdata/NAME.c, a filter of that name, for a Fluent Bit, and returns the shared object.
func (w *work) compile(fb fluentbit.Binary, name string) (string, error) {
	number, err := family(fb.Version)
	if err != nil {
		return "", err
	}
	source, err := testdata.ReadFile("testdata/" + name + ".c")
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(w.path(name+".c"), source, 0o666); err != nil {
		return "", err
	}
	// Fluent Bit takes the name of the symbol from that of the file.
	object := w.path(filepath.Join(strconv.Itoa(number), "flb-filter_"+name+".so"))
	if err := os.MkdirAll(filepath.Dir(object), 0o777); err != nil {
		return "", err
	}
	compiler := "cc"
	if cc := os.Getenv("CC"); cc != "" {
		compiler = cc
	}
	out, err := exec.Command(compiler, "-std=gnu11", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC",
		"-DFAMILY="+strconv.Itoa(number), "-I", filepath.Join(w.root, "test/host/src"),
		"-o", object, w.path(name+".c")).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s.c: %w\n%s", compiler, name, err, out)
	}
	return object, nil
}

// compileCopies compiles testdata/copies.c for a Fluent Bit.
func (w *work) compileCopies(fb fluentbit.Binary) error {
	object, err := w.compile(fb, "copies")
	if err == nil {
		w.copiers[fb.Version] = object
	}
	return err
}
