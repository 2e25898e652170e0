package guest

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/emulator"
)

// cached is a module file and a directory for its code.
type cached struct {
	t        *testing.T
	wat, dir string
	warnings []string
}

func newCached(t *testing.T, text string) *cached {
	dir := t.TempDir()
	c := &cached{t: t, wat: filepath.Join(dir, "guest.wat"), dir: filepath.Join(dir, "cache")}
	if err := os.WriteFile(c.wat, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

// load loads the module, tries it, and returns how its code was come by.
func (c *cached) load() Origin {
	c.t.Helper()
	c.warnings = nil
	m, err := Load(Source{Path: c.wat, CacheDir: c.dir, Warn: func(line string) { c.warnings = append(c.warnings, line) }})
	if err != nil {
		c.t.Fatal(err)
	}
	defer m.Close()
	in, err := m.NewInstance(Config{Function: "filter"})
	if err != nil {
		c.t.Fatal(err)
	}
	defer in.Close()
	var b Batch
	defer b.Close()
	if outcome, got := reply(c.t, in, &b, []byte(`{"a":1}`), []byte("t")); outcome != Reply || !strings.Contains(string(got), `{"a":1}`) {
		c.t.Fatalf("%v, %q", outcome, got)
	}
	if compiled := m.CompileTime() > 0; compiled == m.FromCache() || m.CompileTime() > m.loadTime {
		c.t.Errorf("%s: compiled in %v of %v, from the cache: %v", m.origin, m.CompileTime(), m.loadTime, m.FromCache())
	}
	return m.origin
}

func (c *cached) entries() []string {
	c.t.Helper()
	files, err := os.ReadDir(c.dir)
	if err != nil {
		c.t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		if f.Name() != cacheLock {
			names = append(names, filepath.Join(c.dir, f.Name()))
		}
	}
	return names
}

func (c *cached) want(origin Origin, warning string) {
	c.t.Helper()
	got := c.load()
	text := strings.Join(c.warnings, "; ")
	if got != origin || (text == "") != (warning == "") || !strings.Contains(text, warning) {
		c.t.Errorf("%s, warnings %q; want %s and %q", got, text, origin, warning)
	}
}

func TestCache(t *testing.T) {
	c := newCached(t, guests.WAT("wrap"))
	c.want(Compiled, "")
	c.want(Cached, "")
	if info, err := os.Stat(c.dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory: %v, %v", info, err)
	}
	if info, err := os.Stat(c.entries()[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the entry: %v, %v", info, err)
	}
	// Another module is another entry.
	other := newCached(t, guests.WAT("identity"))
	other.dir = c.dir
	other.want(Compiled, "")
	if n := len(c.entries()); n != 2 {
		t.Errorf("%d entries, want 2", n)
	}
	c.want(Cached, "")
}

func TestDamagedEntriesAreCompiledAgain(t *testing.T) {
	c := newCached(t, guests.WAT("wrap"))
	c.load()
	entry := c.entries()[0]
	good, err := os.ReadFile(entry)
	if err != nil {
		t.Fatal(err)
	}
	damage := map[string]func([]byte) []byte{
		"empty": func([]byte) []byte { return nil },
		"text":  func([]byte) []byte { return []byte("hello") },
		"half":  func(b []byte) []byte { return b[:len(b)/2] },
		"other": func(b []byte) []byte {
			return edit(t, b, func(h *header) { h.Module = hexSum(nil) })
		},
		"other engine": func(b []byte) []byte {
			return edit(t, b, func(h *header) { h.Engine = "1.0.0" })
		},
	}
	for i := 0; i < len(good); i += 1 + len(good)/40 {
		damage[fmt.Sprintf("bit in byte %d", i)] = func(b []byte) []byte { b[i] ^= 0x10; return b }
	}
	for name, change := range damage {
		if err := os.WriteFile(entry, change(append([]byte(nil), good...)), 0o600); err != nil {
			t.Fatal(err)
		}
		if origin := c.load(); origin != Compiled || len(c.warnings) != 1 || !strings.Contains(c.warnings[0], "compiled again") {
			t.Errorf("%s: %s, %q", name, origin, c.warnings)
		}
		c.want(Cached, "")
	}
}

// A directory where others may write is not read from, and not written to.
func TestCacheIsPrivate(t *testing.T) {
	for _, mode := range []os.FileMode{0o755, 0o770, 0o701, 0o777} {
		c := newCached(t, guests.WAT("wrap"))
		c.load()
		if err := os.Chmod(c.dir, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(c.entries()[0]); err != nil {
			t.Fatal(err)
		}
		c.want(Compiled, "is open to other users")
		// Others may need its mode: what is said must not be to change it.
		if text := strings.Join(c.warnings, ""); strings.Contains(text, "chmod") {
			t.Error(text)
		}
		c.want(Compiled, "name a directory that is not there yet, such as "+c.dir+"/flb-wasmtime;")
		if n := len(c.entries()); n > 0 {
			t.Errorf("%d entries in a directory of mode %o", n, mode)
		}
	}
	c := newCached(t, guests.WAT("wrap"))
	c.dir = filepath.Join(c.dir, "no", "parent")
	c.want(Compiled, "no such file")
	c = newCached(t, guests.WAT("wrap"))
	c.dir = c.wat
	c.want(Compiled, "not a directory")
	if os.Geteuid() == 0 {
		c = newCached(t, guests.WAT("wrap"))
		c.load()
		if err := os.Chown(c.dir, 1, 1); err != nil {
			t.Fatal(err)
		}
		c.want(Compiled, "belongs to user 1")
	}
}

// cacheChild makes the test binary load a module, for TestCacheOfManyProcesses.
const cacheChild = "FLBWT_TEST_CACHE_CHILD"

func TestCacheOfManyProcesses(t *testing.T) {
	if wat, ok := os.LookupEnv(cacheChild); ok {
		c := &cached{t: t, wat: wat, dir: filepath.Join(filepath.Dir(wat), "cache")}
		fmt.Printf("%s.\n", c.load())
		if len(c.warnings) > 0 {
			t.Error(c.warnings)
		}
		return
	}
	// That takes a second to compile, in which all of them have begun.
	c := newCached(t, large(t))
	var children []*exec.Cmd
	var out [8]strings.Builder
	for i := range out {
		child := emulator.Command(os.Args[0], "-test.run=^TestCacheOfManyProcesses$")
		child.Env = append(os.Environ(), cacheChild+"="+c.wat)
		child.Stdout, child.Stderr = &out[i], os.Stderr
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		children = append(children, child)
	}
	compiled := 0
	for i, child := range children {
		if err := child.Wait(); err != nil {
			t.Error(err, out[i].String())
		}
		compiled += strings.Count(out[i].String(), Compiled.String()+".")
	}
	if compiled != 1 {
		t.Errorf("%d processes have compiled the module, want 1", compiled)
	}
	if files := c.entries(); len(files) != 1 || !strings.HasSuffix(files[0], cacheSuffix) {
		t.Errorf("left are %q", files)
	}
	c.want(Cached, "")
}

// claimed leaves no code of the module in the cache, and has it be compiled by somebody until claim is closed.
func (c *cached) claimed() (entry string, claim io.Closer) {
	c.t.Helper()
	c.load()
	entry = c.entries()[0]
	if err := os.Remove(entry); err != nil {
		c.t.Fatal(err)
	}
	root, err := os.OpenRoot(c.dir)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { root.Close() })
	if claim, err = (&cache{root: root, name: filepath.Base(entry)}).claim(); err != nil {
		c.t.Fatal(err)
	}
	return entry, claim
}

// A process that compiles and does not come to an end, as one that is stopped, holds up another one for a
// while only.
func TestCacheIsNotWaitedForForEver(t *testing.T) {
	wait := compileWait
	compileWait = time.Millisecond
	defer func() { compileWait = wait }()
	c := newCached(t, guests.WAT("wrap"))
	entry, claim := c.claimed()
	c.want(Compiled, "another process has been compiling it for too long")
	// Another module does not wait.
	other := newCached(t, guests.WAT("identity"))
	other.dir = c.dir
	other.want(Compiled, "")
	claim.Close()
	os.Remove(entry)
	c.want(Compiled, "")
}

// Filters that start at once share what one of them compiles, and one of another module does not wait
// for it.
func TestModulesAreCompiledOnce(t *testing.T) {
	c := newCached(t, guests.WAT("wrap"))
	_, claim := c.claimed()
	const n = 10
	loaded := make(chan *Module, n)
	for range n {
		go func() {
			m, err := Load(Source{Path: c.wat, CacheDir: c.dir})
			if err != nil {
				t.Error(err)
			}
			loaded <- m
		}()
	}
	onTheWay := func() (users int) {
		modules.Lock()
		defer modules.Unlock()
		for _, l := range modules.loading {
			users += l.users
		}
		return users
	}
	for end := time.Now().Add(time.Minute); onTheWay() < n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d of %d filters wait for the module", onTheWay(), n)
		}
	}
	other := newCached(t, guests.WAT("identity"))
	other.want(Compiled, "")
	claim.Close()
	first := <-loaded
	for range n - 1 {
		if m := <-loaded; m != first {
			t.Error("another module")
		}
	}
	if first.users != n {
		t.Errorf("%d users, want %d", first.users, n)
	}
	for range n {
		first.Close()
	}
	if len(modules.byKey) != 0 {
		t.Error("the module is left")
	}
}

// Filters that wait for a module which can't be compiled learn that, too.
func TestNoModuleForAll(t *testing.T) {
	c := newCached(t, "(module (func (result i32)))")
	failed := make(chan error)
	for range 4 {
		go func() {
			_, err := Load(Source{Path: c.wat})
			failed <- err
		}()
	}
	for range 4 {
		if err := <-failed; err == nil || !strings.Contains(err.Error(), "is not") {
			t.Error(err)
		}
	}
	if len(modules.loading) != 0 {
		t.Error("left behind")
	}
}

// auto takes the first place that is the user's.
func TestCacheAuto(t *testing.T) {
	makeDir := func(mode os.FileMode) string {
		dir := filepath.Join(t.TempDir(), "dir")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	good, open, home, system := makeDir(0o755), makeDir(0o777), makeDir(0o755), makeDir(0o755)
	defer func(dir string) { systemCache = dir }(systemCache)
	for _, place := range []struct{ service, xdg, home, system, want string }{
		{good, "", home, system, good},
		{good + ":/elsewhere", "", home, system, good},
		{"", good, home, system, good},
		{"", good + "/new", home, system, good + "/new"},
		{"relative", "relative", home, system, system},
		{"", "", home, system, home + "/.cache"},
		{open, open, home, system, system},
		{open, good, home, system, good},
		{"/nowhere", "/nowhere/cache", home, system, system},
		{"", "", open, system, system},
		{"", "", "", system, system},
		{open, "", "/nowhere", open, ""},
	} {
		t.Setenv("CACHE_DIRECTORY", place.service)
		t.Setenv("XDG_CACHE_HOME", place.xdg)
		t.Setenv("HOME", place.home)
		systemCache = place.system
		c := newCached(t, fmt.Sprintf("%s ;; %v", guests.WAT("wrap"), place))
		c.dir = CacheAuto
		if place.want == "" {
			c.want(Compiled, "no place for it: others may write to "+open)
			c.want(Compiled, "stat /nowhere: no such file")
			continue
		}
		c.load()
		c.want(Cached, "")
		c.dir = filepath.Join(place.want, autoName)
		c.want(Cached, "")
		if info, err := os.Stat(c.dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Error(info, err)
		}
		if err := os.RemoveAll(c.dir); err != nil {
			t.Error(err)
		}
	}
}

// Code is not run from where the module itself may write.
func TestCacheOutOfReach(t *testing.T) {
	c := newCached(t, guests.WAT("wrap"))
	parent := filepath.Dir(c.dir)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(parent, link); err != nil {
		t.Fatal(err)
	}
	for _, granted := range []string{parent, link, c.dir, "/", parent + "/.", filepath.Join(link, "cache")} {
		m, err := Load(Source{Path: c.wat, CacheDir: c.dir, Writable: []string{"/proc/self/nowhere", granted},
			Warn: func(line string) { c.warnings = append(c.warnings, line) }})
		if err != nil {
			t.Fatal(err)
		}
		m.Close()
		if n := len(c.warnings); n == 0 || !strings.Contains(c.warnings[n-1], "accessible_paths "+granted+":rw") || len(c.entries()) != 0 {
			t.Errorf("%s: %q, entries %q", granted, c.warnings, c.entries())
		}
		c.warnings = nil
	}
	m, err := Load(Source{Path: c.wat, CacheDir: c.dir, Writable: []string{t.TempDir(), parent + "/cach"}})
	if err != nil || m.cacheDir == "" {
		t.Fatal(m, err)
	}
	m.Close()
}

func TestCachePrunes(t *testing.T) {
	c := newCached(t, guests.WAT("wrap"))
	c.load()
	own := c.entries()[0]
	now := time.Now()
	age := func(name string, size int, age time.Duration) string {
		path := filepath.Join(c.dir, name)
		if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	old := age("old"+cacheSuffix, 100, time.Hour)
	older := age("older"+cacheSuffix, 100, 2*time.Hour)
	dead := age(cacheTemp+"dead", 1, 2*cacheTempLife)
	alive := age(cacheTemp+"alive", 1, 0)
	foreign := age("README", 1000, 10*time.Hour)

	root, err := os.OpenRoot(c.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	info, err := os.Stat(own)
	if err != nil {
		t.Fatal(err)
	}
	ch := &cache{root: root, dir: c.dir, name: filepath.Base(own)}
	if err := ch.prune(info.Size() + 150); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{own: true, old: true, older: false, dead: false, alive: true, foreign: true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s: %v, want it there: %v", filepath.Base(path), err, want)
		}
	}
	// Its own entry is never too much.
	if err := ch.prune(1); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(own); err != nil {
		t.Error(err)
	}
}

// large is a module of about a megabyte of code.
func large(tb testing.TB) string {
	tb.Helper()
	var text strings.Builder
	text.WriteString(`(module (memory (export "memory") 2)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local.get 4))` + "\n")
	for i := range 2400 {
		fmt.Fprintf(&text, `(func (export "f%d") (param i32 i32) (result i32) (local i32)`, i)
		for j := range 12 {
			fmt.Fprintf(&text, `
  (if (i32.lt_u (local.get 0) (i32.const %d))
    (then (i32.store offset=%d (local.get 1) (i32.mul (local.get 0) (i32.const %d))))
    (else (local.set 2 (i32.add (i32.load offset=%d (local.get 1)) (i32.xor (local.get 2) (local.get 0))))))`, i*j, i, i^j, j)
		}
		text.WriteString("(local.get 2))\n")
	}
	text.WriteString(")")
	return text.String()
}

// BenchmarkStart measures how long a module of 1 MB takes until it is loaded.
func BenchmarkStart(b *testing.B) {
	dir := b.TempDir()
	source := Source{Path: filepath.Join(dir, "large.wasm")}
	wasm, err := toBinary("large.wat", []byte(large(b)))
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(source.Path, wasm, 0o600); err != nil {
		b.Fatal(err)
	}
	run := func(b *testing.B, s Source, origin Origin) {
		for b.Loop() {
			m, err := Load(s)
			if err != nil {
				b.Fatal(err)
			}
			if m.origin != origin {
				b.Fatal(m.origin)
			}
			m.Close()
		}
		b.SetBytes(int64(len(wasm)))
	}
	b.Run("compile", func(b *testing.B) { run(b, source, Compiled) })
	b.Run("cache", func(b *testing.B) {
		s := source
		s.CacheDir = filepath.Join(dir, "cache")
		m, err := Load(s)
		if err != nil {
			b.Fatal(err)
		}
		m.Close()
		run(b, s, Cached)
	})
	b.Run("precompiled", func(b *testing.B) {
		s := Source{Path: filepath.Join(dir, "large.cwasm"), AllowPrecompiled: true}
		if _, err := Compile(source.Path, s.Path, CompileConfig{}); err != nil {
			b.Fatal(err)
		}
		run(b, s, Precompiled)
	})
}
