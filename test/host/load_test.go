package host

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// loadUnder loads the plugin and filters with it in a host that a shell starts after setup, and
// returns its exit code and what it writes.
func loadUnder(t *testing.T, setup string, more ...string) (int, string) {
	t.Helper()
	commands := append([]string{"load " + enhex(filepath.Join(objectDir, filterWasmtime))}, more...)
	cmd := exec.Command("sh", append([]string{"-c", setup + `; exec "$0" "$@"`}, running(newest.binary())...)...)
	cmd.Stdin = strings.NewReader(strings.Join(commands, "\n") + "\n")
	out, _ := cmd.CombinedOutput()
	return cmd.ProcessState.ExitCode(), string(out)
}

// What the environment says to Go's runtime does not end the host.
func TestEnvironmentOfTheRuntime(t *testing.T) {
	for _, c := range []struct {
		variable string
		ignored  bool
	}{
		{"GOMEMLIMIT=abc", true},
		{"GOMEMLIMIT=-1", true},
		{"GOMEMLIMIT=1e9", true},
		{"GOMEMLIMIT=1G", true},
		{"GOMEMLIMIT=99999999TiB", true},
		{"GOMEMLIMIT=99999999999999999999", true},
		{"GOMEMLIMIT=" + strings.Repeat("9", 10_000), true},
		{"GOMEMLIMIT=100MiB", false},
		{"GOMEMLIMIT=100000000", false},
		{"GOMEMLIMIT=9223372036854775807", false},
		{"GOMEMLIMIT=9223372036854775808", true},
		{"GOMEMLIMIT=off", false},
		{"GOMEMLIMIT=", false},
		{"GODEBUG=fips140=bogus", true},
		{"GODEBUG=x=1,fips140=bogus,y=2", true},
		{"GODEBUG=fips140=off,x", false},
		{"GODEBUG=,,=,x", false},
		{"GOGC=abc", false},
		{"GOMAXPROCS=abc", false},
	} {
		t.Run(fmt.Sprintf("%.40s", c.variable), func(t *testing.T) {
			code, out := loadUnder(t, "export '"+c.variable+"'")
			if code != 0 || !strings.Contains(out, "ok name=") {
				t.Fatalf("exit code %d: %.2000s", code, out)
			}
			name, _, _ := strings.Cut(c.variable, "=")
			if got := strings.Contains(out, name) && strings.Contains(out, "ignored"); got != c.ignored {
				t.Errorf("ignored: %v, want %v: %.2000s", got, c.ignored, out)
			}
		})
	}
}

// A process with too little address space for Go's runtime loads the plugin; an instance says what
// is missing, and the host lives.
func TestAddressSpace(t *testing.T) {
	for _, kB := range []int{300_000, 500_000, 800_000} {
		code, out := loadUnder(t, fmt.Sprintf("ulimit -v %d", kB), "new", "init 0", "quit")
		if code != 0 || !strings.Contains(out, "ok ret=-1") || !strings.Contains(out, "ok bye") ||
			!strings.Contains(out, enhex("address space")[1:]) || !strings.Contains(out, enhex("ulimit -v")[1:]) {
			t.Errorf("%d kB: exit code %d: %.2000s", kB, code, out)
		}
	}
	dir := t.TempDir()
	module := filepath.Join(dir, "guest.wat")
	if err := os.WriteFile(module, []byte(`(module (memory (export "memory") 1)
		(func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local.get 4)))`), 0o600); err != nil {
		t.Fatal(err)
	}
	// With as much, the library is loaded, and a memory of a guest is too large.
	code, out := loadUnder(t, "ulimit -v 3000000", "new",
		"set 0 "+enhex("wasm_path")+" "+enhex(module), "set 0 "+enhex("function_name")+" "+enhex("filter"), "init 0")
	if code != 0 || !strings.Contains(out, "ok ret=-1") {
		t.Errorf("exit code %d: %.2000s", code, out)
	}
}

// cache_dir auto takes the directory that a service manager has made for the service.
func TestCacheDirAuto(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	start := func(setup string, want string) {
		t.Helper()
		code, out := loadUnder(t, setup, "new", "set 0 "+enhex("wasm_path")+" "+enhex(guest(t, "wrap")), "set 0 "+enhex("function_name")+" "+enhex(function),
			"set 0 "+enhex("cache_dir")+" "+enhex("auto"), "init 0", "exit 0", "quit")
		if code != 0 || !strings.Contains(out, "ok ret=0") || !strings.Contains(out, enhex(want)[1:]) {
			t.Errorf("%s: exit code %d, no %q: %.4000s", setup, code, want, out)
		}
	}
	start("export CACHE_DIRECTORY="+dir, " compiled in ")
	start("export CACHE_DIRECTORY="+dir, " taken from the cache in ")
	start("export CACHE_DIRECTORY="+dir, ", kept in "+dir+"/flb-wasmtime")
}

// copyTo copies a file of the build into a directory: a file of its own, as cp makes it.
func copyTo(t *testing.T, dir, name, as string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(objectDir, name))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, as)
	if err := os.WriteFile(path, b, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// Copies of the object and of its other name are one library, in either order.
func TestCopies(t *testing.T) {
	dir := t.TempDir()
	copyTo(t, dir, filterWasmtime, filterWasmtime)
	copyTo(t, dir, filterWasm, filterWasm)
	for _, names := range [][]string{{filterWasmtime, filterWasm}, {filterWasm, filterWasmtime}} {
		p := start(t, newest)
		for _, name := range names {
			p.do("load", enhex(filepath.Join(dir, name)))
			i := p.ready(guest(t, "identity"), function, nil)
			chunk := chunkOf(2)
			same(t, chunk, i.filter("app", chunk).over(chunk))
			i.exit()
		}
		if p.stderr.String() != "" {
			t.Errorf("%v: it says %s", names, p.stderr.String())
		}
	}
}

// The dynamic linker refuses a second copy of the object itself; the first has said what to do.
func TestSecondCopy(t *testing.T) {
	dir := t.TempDir()
	first := copyTo(t, dir, filterWasmtime, filterWasmtime)
	second := copyTo(t, dir, filterWasmtime, filterWasm)
	words := running(newest.binary())
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Stdin = strings.NewReader("load " + enhex(first) + "\nload " + enhex(second) + "\n")
	out, _ := cmd.CombinedOutput()
	told := strings.Index(string(out), fmt.Sprintf("%s and %s are two copies of the plugin", first, second))
	refused := strings.LastIndex(string(out), "static TLS")
	if told < 0 || refused < told || !strings.Contains(string(out), "the small files that come with it, or links") {
		t.Errorf("%.2000s", out)
	}
}
