package regular

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(path("file"), []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path("fifo"), 0o600); err != nil { // that nobody writes to
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/zero", path("link")); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", path("socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()

	for _, test := range []struct {
		path string
		most int64
		want error
	}{
		{path("file"), 5, nil},
		{path("file"), 4, ErrTooLarge},
		{path("file"), 0, ErrTooLarge},
		{path("none"), 5, fs.ErrNotExist},
		{path("fifo"), 5, ErrNotRegular},
		{path("link"), 5, ErrNotRegular},
		{path("socket"), 5, syscall.ENXIO},
		{dir, 5, ErrNotRegular},
		{"/proc/self/pagemap", 4095, ErrTooLarge}, // of size 0, and endless; read in multiples of 8
	} {
		got, err := Read(test.path, test.most)
		if !errors.Is(err, test.want) {
			t.Errorf("%s, %d bytes: %v, want %v", test.path, test.most, err, test.want)
		}
		if test.want == nil && string(got) != "12345" {
			t.Errorf("%s: %q", test.path, got)
		}
		if inside, name := filepath.Split(test.path); filepath.Clean(inside) == dir && name != "link" && name != "" {
			if _, err := ReadIn(root, name, test.most); !errors.Is(err, test.want) {
				t.Errorf("%s in its directory, %d bytes: %v, want %v", name, test.most, err, test.want)
			}
		}
	}
	if got, err := Read("/proc/self/stat", 1<<20); err != nil || len(got) == 0 {
		t.Errorf("a file that has content but no size: %q, %v", got, err)
	}
}
