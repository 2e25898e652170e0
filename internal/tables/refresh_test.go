package tables

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

const soon = time.Millisecond

// until polls until it is true.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(soon) {
		if time.Now().After(deadline) {
			t.Fatal("it does not come to: " + what)
		}
	}
}

// replace has another file take the place of one, as programs do that know how.
func replace(t *testing.T, path string, content []byte) {
	t.Helper()
	write(t, path+".new", content)
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// logged waits for a line, and returns all since the last call.
func logged(t *testing.T, s *Set, read *int, want string) {
	t.Helper()
	until(t, want, func() bool {
		for _, l := range s.Lines(read) {
			if strings.Contains(l.Text, want) {
				return true
			}
			t.Errorf("logged: %s, want %q", l.Text, want)
		}
		return false
	})
}

// A new version takes the place of the one before; what can't be taken does not, and is said once.
func TestRefresh(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir+"/a.csv", []byte("k,v\na,1\n"))
	s := open(t, soon, path)
	value := func() string { v, _ := s.Get(0, "a", "v", Text, false, 100); return string(v) }
	var read int
	if value() != "1" {
		t.Fatal(value())
	}
	replace(t, path, []byte("k,v\na,2\n"))
	until(t, "2", func() bool { return value() == "2" })
	logged(t, s, &read, "table a: "+path+", 1 entries, ")

	// Not cut off before: for long enough, an empty file is what there is.
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString("k,v\na,in place\n"); err != nil {
		t.Fatal(err)
	}
	file.Close()
	until(t, "in place", func() bool { return value() == "in place" })
	logged(t, s, &read, "refreshed")

	replace(t, path, []byte("k,v\na\n"))
	logged(t, s, &read, "option table.a: "+path+": line 2: it has another number of fields than line 1: the version that was loaded before stays")
	if value() != "in place" {
		t.Error(value())
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	logged(t, s, &read, "no such file or directory: the version that was loaded before stays")
	replace(t, path, []byte("k,v\na,back\n"))
	until(t, "back", func() bool { return value() == "back" })
	logged(t, s, &read, "refreshed")
	if lines := s.Lines(&read); len(lines) > 0 {
		t.Errorf("%+v", lines)
	}
}

// The maps of Kubernetes: a link to a link, which is changed.
func TestRefreshOfLinks(t *testing.T) {
	dir := t.TempDir()
	publish := func(name, content string) {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name, "a.json"), []byte(content))
		if err := os.Symlink(name, dir+"/..tmp"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(dir+"/..tmp", dir+"/..data"); err != nil {
			t.Fatal(err)
		}
	}
	publish("1", `{"k":1}`)
	if err := os.Symlink("..data/a.json", dir+"/a.json"); err != nil {
		t.Fatal(err)
	}
	s := open(t, soon, dir+"/a.json")
	for i := 2; i < 5; i++ {
		publish(fmt.Sprint(i), fmt.Sprintf(`{"k":%d}`, i))
		until(t, fmt.Sprint(i), func() bool { v, _ := s.Get(0, "k", "", JSON, false, 10); return string(v) == fmt.Sprint(i) })
	}
}

// A file that is being written is not loaded before it is whole.
func TestHalfWrittenFile(t *testing.T) {
	// A program writes it in pieces, ever again: what is found is whole.
	dir := t.TempDir()
	content := func(n int) []byte {
		return mmdb(t, mmdbwriter.Options{}, map[string]mmdbtype.DataType{"1.0.0.0/8": mmdbtype.Uint32(n), "3.0.0.0/8": mmdbtype.Uint32(n)})
	}
	path := write(t, dir+"/a.mmdb", content(1))
	s := open(t, soon, path)
	for n := 2; n < 6; n++ {
		out, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		whole := content(n)
		for i := 0; i < len(whole); i += 100 {
			if _, err := out.Write(whole[i:min(i+100, len(whole))]); err != nil {
				t.Fatal(err)
			}
			for _, key := range []string{"1.1.1.1", "3.1.1.1"} {
				if got, _ := s.Get(0, key, "", Text, false, 10); string(got) != fmt.Sprint(n-1) && string(got) != fmt.Sprint(n) {
					t.Fatalf("%s: %q", key, got)
				}
			}
		}
		out.Close()
		until(t, fmt.Sprint(n), func() bool { v, _ := s.Get(0, "1.1.1.1", "", Text, false, 10); return string(v) == fmt.Sprint(n) })
	}
}

// Readers on many threads always find one version or the other, whole, while files are replaced;
// what nobody reads is freed.
func TestRefreshUnderLoad(t *testing.T) {
	dir := t.TempDir()
	content := func(n int) []byte {
		var b strings.Builder
		b.WriteString("k,v,w\n")
		for i := range 20 {
			fmt.Fprintf(&b, "%d,%s,%d\n", i, strings.Repeat(fmt.Sprint(n%10), 3000), n%10)
		}
		return []byte(b.String())
	}
	path := write(t, dir+"/a.csv", content(0))
	s := open(t, 0, path)
	var stop atomic.Bool
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			r := newReading(s)
			defer r.close()
			for i := 0; !stop.Load(); i++ {
				r.enter(0)
				got, n := get(r.table, fmt.Sprint(i%20), "", JSON, false, 4000)
				r.leave()
				if len(got) < 3000 || strings.Count(string(got), string(got[len(got)-3])) < 3001 {
					t.Errorf("%q (%d)", got, n)
					return
				}
			}
		})
	}
	before := residentBytes(t)
	const refreshes = 1000
	for n := range refreshes {
		replace(t, path, content(n+1))
		s.look()
		s.look()
		if n == refreshes/5 {
			before = residentBytes(t)
		}
	}
	var read int
	if lines := s.Lines(&read); len(lines) != maxLines || s.told != refreshes {
		t.Errorf("%d lines, told %d", len(lines), s.told)
	}
	if grown := residentBytes(t) - before; grown > 20<<20 && !keepsFreed {
		t.Errorf("800 refreshes of a table of %d bytes have taken %d bytes", s.Bytes(), grown)
	}
	stop.Store(true)
	readers.Wait()
	s.look()
	if len(s.retired) != 0 {
		t.Errorf("%d versions are kept, and nobody reads them", len(s.retired))
	}
}

// keepsFreed says that free keeps memory for a while, as the sanitizer of addresses has it.
var keepsFreed bool

func residentBytes(t *testing.T) int64 {
	t.Helper()
	content, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(content), &size, &resident); err != nil {
		t.Fatal(err)
	}
	return resident * int64(os.Getpagesize())
}

// A version that is read stays until it is not.
func TestReadVersionStays(t *testing.T) {
	path := write(t, t.TempDir()+"/a.csv", []byte("k,v\na,1\n"))
	s := open(t, 0, path)
	r := newReading(s)
	r.enter(0)
	for n := range 3 {
		replace(t, path, fmt.Appendf(nil, "k,v\na,%d\n", 10+n))
		s.look()
		s.look()
	}
	if len(s.retired) != 1 {
		t.Errorf("%d versions are kept, want the one that is read", len(s.retired))
	}
	if got, _ := get(r.table, "a", "v", Text, false, 10); string(got) != "1" {
		t.Errorf("the version that is read says %q", got)
	}
	r.leave()
	defer r.close()
	s.look()
	if len(s.retired) != 0 {
		t.Error("it is kept after that")
	}
}

// Filters with the same tables share them; the last one to close them ends the goroutine and
// frees the memory.
func TestSharedSet(t *testing.T) {
	path := write(t, t.TempDir()+"/a.csv", []byte("k,v\na,1\n"))
	config := Config{Specs: []Spec{{Name: "a", Path: path}}, LimitBytes: 1e6, Interval: soon}
	first, err := Open(config)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Open(config)
	if err != nil || second != first {
		t.Fatalf("%p, want %p: %v", second, first, err)
	}
	third := second.Share()
	config.Interval = 2 * soon
	other, err := Open(config)
	if err != nil || other == first {
		t.Fatalf("another configuration has the same tables: %v", err)
	}
	other.Close()
	first.Close()
	second.Close()
	if got, _ := third.Get(0, "a", "v", Text, false, 10); string(got) != "1" {
		t.Error(string(got))
	}
	third.Close()
	<-third.done
	if third.c != nil || len(sets.byKey) != 0 {
		t.Errorf("%d sets are left", len(sets.byKey))
	}

	// Whoever begins later has the file as it is then, or an error.
	config.Interval = 0
	first, err = Open(config)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	replace(t, path, []byte("k,v\na,2\n"))
	second, err = Open(config)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := second.Get(0, "a", "v", Text, false, 10); string(got) != "2" {
		t.Error(string(got))
	}
	second.Close()
	replace(t, path, []byte("k,v\na\n"))
	if _, err := Open(config); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Error(err)
	}
	if got, _ := first.Get(0, "a", "v", Text, false, 10); string(got) != "2" {
		t.Error(string(got))
	}
}
