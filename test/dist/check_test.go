package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What make build has made keeps every rule but those of glibc's version.
func TestBuilt(t *testing.T) {
	for name := range kinds {
		summary, problems, err := check(filepath.Join("..", "..", "build", name), "")
		if err != nil {
			t.Fatalf("%v: run make build", err)
		}
		for _, problem := range problems {
			t.Errorf("%s: %s", name, problem)
		}
		t.Logf("%s: %s", name, summary)
	}
}

// goodC is C that keeps all rules.
const goodC = `
#define PUBLIC __attribute__((visibility("default")))
PUBLIC int FLBPluginExit(void) { return 0; }
PUBLIC int FLBPluginExitCtx(void) { return 0; }
PUBLIC int FLBPluginFlushCtx(void) { return 0; }
PUBLIC int FLBPluginInit(void) { return 0; }
PUBLIC int FLBPluginRegister(void) { return 0; }
__attribute__((visibility("protected"))) int filter_wasm_plugin, filter_wasmtime_plugin, processor_wasmtime_plugin;
void *memcpy(), *memmove(), *memset();
unsigned long strlen();
void *const libcs[] = {(void *) memcpy, (void *) memmove, (void *) memset, (void *) strlen};
`

// Each rule is broken once, by an object that is built for that.
func TestRules(t *testing.T) {
	for _, c := range []struct {
		name, more, flags string
		want              string // in the only problem; none if it is ""
	}{
		{name: "none"},
		{name: "newer C library", more: "int pthread_create(); int f(void) { return pthread_create(); }", want: "newer than 2.17: pthread_create"},
		{name: "older C library", more: "int getpid(); int f(void) { return getpid(); }"},
		{name: "newer, weak", more: "__attribute__((weak)) int gettid(); int f(void) { return gettid ? gettid() : 0; }", want: "newer than 2.17: gettid"},
		{name: "library", flags: "-Wl,--no-as-needed -lresolv", want: "needs libresolv.so.2"},
		{name: "path", flags: "-Wl,-rpath,/opt", want: `looks for libraries in ["/opt"]`},
		{name: "from anything", more: "int someones(); int f(void) { return someones(); }", want: "imports someones from anything"},
		{name: "if it is there", more: "__attribute__((weak)) int someones(); int f(void) { return someones ? someones() : 0; }", want: "imports someones if it is there"},
		{name: "data", more: "extern int number; __attribute__((weak)) extern int number; int f(void) { return number; }", want: "imports number"},
		{name: "libc's data", more: "extern void *stdin; void *f(void) { return stdin; }", want: "imports data, stdin"},
		{name: "allocator", more: "void *malloc(unsigned long); void *f(void) { return malloc(1); }", want: "malloc is not bound inside it"},
		{name: "a function of libc's", more: "unsigned long strlen(const char *s) { return *s; }", want: "its strlen is not the C library's"},
		{name: "exports", more: "PUBLIC int extra(void) { return 0; }", want: `exports ["FLBPluginExit" "FLBPluginExitCtx" "FLBPluginFlushCtx" "FLBPluginInit" "FLBPluginRegister" "extra" "filter`},
		{name: "exported data", more: "PUBLIC int filter_wasm_plugin_;", flags: "-Wl,--defsym,x=0", want: "exports"},
		{name: "executable stack", flags: "-Wl,-z,execstack", want: "executable stack"},
		{name: "writable code", flags: "-Wl,-N", want: "writable and executable"},
		{name: "thread-local", more: "__thread char big[2000]; char *f(void) { return big; }", want: "bytes of thread-local storage"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			source, path := filepath.Join(dir, "plugin.c"), filepath.Join(dir, object)
			if err := os.WriteFile(source, []byte(goodC+c.more), 0o600); err != nil {
				t.Fatal(err)
			}
			args := append([]string{"-w", "-std=gnu11", "-fPIC", "-fno-builtin", "-fvisibility=hidden", "-nostdlib", "-shared", "-o", path, source, "-lc"}, strings.Fields(c.flags)...)
			if out, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
				t.Fatalf("gcc: %v: %s", err, out)
			}
			_, problems, err := check(path, "2.17")
			if err != nil {
				t.Fatal(err)
			}
			if c.want == "" && len(problems) != 0 || c.want != "" && !strings.Contains(strings.Join(problems, "\n"), c.want) {
				t.Errorf("problems %q, want one with %q", problems, c.want)
			}
		})
	}
}

func TestNewer(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"2.17", "2.17", false}, {"2.9", "2.17", false}, {"2.34", "2.17", true}, {"2.2.5", "2.2", true},
		{"2.2.5", "2.17", false}, {"3", "2.17", true}, {"ABI_DT_RELR", "2.17", true}, {"PRIVATE", "2.17", true},
	} {
		if newer(c.a, c.b) != c.want {
			t.Errorf("newer(%q, %q) = %v", c.a, c.b, !c.want)
		}
	}
}

// A file that nobody thought of is not let through.
func TestUnknownFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.so")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := check(path, ""); err == nil {
		t.Error("no error")
	}
}
