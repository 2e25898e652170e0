package filewatch

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A content is due at the second look that finds it, once.
func TestDue(t *testing.T) {
	id := func(size int64) ID { return ID{size: size} }
	var w Watch
	w.Take(id(1))
	if w.Due(id(1)) || w.Due(id(2)) || w.Due(id(3)) || w.Due(id(4)) {
		t.Error("due while it changes")
	}
	if !w.Due(id(4)) {
		t.Error("not due when it has stayed the same")
	}
	w.Refuse(id(4))
	for range 3 {
		if w.Due(id(4)) {
			t.Error("due though it is refused")
		}
	}
	for i := range int64(maxChanging) {
		if w.Due(id(10 + i)) {
			t.Errorf("due at look %d", i)
		}
	}
	if !w.Due(id(100)) {
		t.Error("never due")
	}
	if w.Due(id(5)) || w.Due(id(1)) || w.Due(id(5)) {
		t.Error("due though it was another one in between")
	}
	if !w.IsTaken(id(1)) || w.IsTaken(id(4)) {
		t.Error("another one is taken")
	}
}

// Whatever is done to a file that gives it another content gives it another ID, even where size and
// time of modification are what they were.
func TestID(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	rename := func(from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	link := func(to, name string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	path := write("a", "one")
	write("version1", "one")
	write("version2", "two")
	byLink := link("version1", "link")
	then := time.Now().Add(-time.Hour)
	for _, test := range []struct {
		name, path string
		change     func()
	}{
		{"rename", path, func() { rename(write("new", "two"), path) }},
		{"link", byLink, func() { rename(link("version2", "newlink"), byLink) }},
		{"in place", path, func() { write("a", "three and more") }},
		{"in place, with the time set back", path, func() {
			write("a", "eerht dna erom")
			if err := os.Chtimes(path, then, then); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		if err := os.Chtimes(test.path, then, then); err != nil {
			t.Fatal(err)
		}
		before, err := Stat(test.path)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := Stat(test.path); err != nil || again != before {
			t.Errorf("%s: %v, %v before", test.name, again, err)
		}
		// The clock of files goes by ticks.
		for time.Since(time.Unix(0, before.changed)) < 20*time.Millisecond {
			time.Sleep(time.Millisecond)
		}
		test.change()
		if after, err := Stat(test.path); err != nil || after == before {
			t.Errorf("%s: the same, %v", test.name, err)
		}
	}
	if _, err := Stat(filepath.Join(dir, "absent")); err == nil {
		t.Error("a file that is not there has an ID")
	}
}
