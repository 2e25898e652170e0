// Install copies the plugin out of its image, into a directory that Fluent Bit sees: it is what the
// image runs as an init container, where there is no shell and no libc.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	source = "/usr/lib/fluent-bit"
	// temporary begins the names of files that are not whole.
	temporary = ".flb-wasmtime-install-"
)

func main() {
	if len(os.Args) != 2 || strings.HasPrefix(os.Args[1], "-") {
		fmt.Fprintf(os.Stderr, "usage: install DIRECTORY\ncopies what is in %s there\n", source)
		os.Exit(2)
	}
	if err := install(source, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "install:", err)
		os.Exit(1)
	}
}

// install copies all files of a directory into another, each at once or not at all. A file that is
// there with the same bytes stays the file that it is: a process may have it loaded.
func install(from, to string) error {
	info, err := os.Stat(to)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s does not exist: mount a volume there", to)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory", to)
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		return fmt.Errorf("there is nothing in %s", from)
	}
	if same, err := os.Stat(from); err == nil && os.SameFile(same, info) {
		return fmt.Errorf("%s is where the files come from: name another directory", to)
	}
	// What a run left that was ended in the middle.
	old, _ := filepath.Glob(filepath.Join(to, temporary+"*"))
	for _, name := range old {
		_ = os.Remove(name)
	}
	// The aliases need the plugin next to them, so it comes first: it alone is large.
	for _, alias := range []bool{false, true} {
		for _, e := range entries {
			if (e.Name() != "flb-filter_wasmtime.so") != alias {
				continue
			}
			done, err := copyFile(filepath.Join(from, e.Name()), filepath.Join(to, e.Name()))
			if err != nil {
				return err
			}
			fmt.Println(done, filepath.Join(to, e.Name()))
		}
	}
	return nil
}

// copyFile says what it did.
func copyFile(from, to string) (string, error) {
	content, err := os.ReadFile(from)
	if err != nil {
		return "", err
	}
	if there, err := os.ReadFile(to); err == nil && bytes.Equal(there, content) {
		return "kept", nil
	}
	f, err := os.CreateTemp(filepath.Dir(to), temporary)
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name()) // which has another name then
	_, err = f.Write(content)
	// Whatever the umask is: another user loads it.
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), to)
	}
	return "installed", err
}
