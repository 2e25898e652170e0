package host

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// replaceModule has another file take the place of a module, all at once.
func replaceModule(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// versionsOf returns the version of the module that all records of a chunk have been through, "" if they
// are as they came. Records are numbered from first on.
func versionsOf(t *testing.T, chunk []byte, first int) (version string) {
	t.Helper()
	events, err := oracle.Unpack(chunk)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range events {
		body, _ := e.Body.(map[string]any)
		v, _ := body["version"].(string)
		if inner, ok := body["record"].(map[string]any); ok {
			body = inner
		}
		if fmt.Sprint(body["n"]) != fmt.Sprint(first+i) {
			t.Fatalf("record %v in the place of %d", body["n"], first+i)
		}
		if i > 0 && v != version {
			t.Fatalf("version %q follows %q in one chunk", v, version)
		}
		version = v
	}
	return version
}

func numbered(first, n int) (chunk []byte) {
	for i := range n {
		chunk = append(chunk, oracle.Pack(oracle.Current(oracle.Timestamp(1700000000, 0), map[string]any{}, map[string]any{"n": first + i}))...)
	}
	return chunk
}

// While chunks go through a filter, on threads and coroutines, versions of its module take over from each
// other, and in between one that is refused: no chunk has two versions, no record is lost, doubled or moved.
// The fast path goes on with each.
func TestModuleIsReloaded(t *testing.T) {
	eachFamily(t, func(t *testing.T, f family) {
		swaps := 50
		if f != newest {
			swaps = 5
		}
		p := loaded(t, f)
		path := filepath.Join(t.TempDir(), "guest.wat")
		replaceModule(t, path, guests.Version("A"))
		i := p.ready(path, function, settings{"reload_module": "on", "reload_interval": "10ms", "timeout": "1m"})
		version, n := "A", 0
		for swap := range swaps {
			next := string('A' + byte(swap+1)%26)
			text := guests.Version(next)
			if swap == swaps/2 {
				replaceModule(t, path, text[:len(text)/2])
				p.waitLogMeanwhile(levelError, "reload refused", func() { n = runNumbered(t, i, n, version) })
			}
			replaceModule(t, path, text)
			for deadline := time.Now().Add(replyTimeout); version != next; {
				if time.Now().After(deadline) {
					t.Fatalf("version %s does not come", next)
				}
				chunk := numbered(n%500, 10) // the host keeps each
				r := result{}
				if swap%2 == 0 {
					r = i.filter("app", chunk)
				} else {
					r = i.coroutine(24*1024, "app", chunk)
				}
				got := versionsOf(t, r.over(chunk), n%500)
				if got != version && got != next {
					t.Fatalf("version %q between %s and %s", got, version, next)
				}
				version = got
				n += 10
			}
			p.waitLog(levelInfo, "reloaded: module "+path)
		}
		i.exit()
		p.waitLog(levelInfo, fmt.Sprintf("%d records: %d returned, 0 dropped by the guest, 0 failed", n, n))
	})
}

// runNumbered runs a chunk that must be of that version.
func runNumbered(t *testing.T, i instance, n int, version string) int {
	t.Helper()
	chunk := numbered(n%500, 10)
	if got := versionsOf(t, i.filter("app", chunk).over(chunk), n%500); got != version {
		t.Fatalf("version %q, want %s", got, version)
	}
	return n + 10
}

// waitLogMeanwhile is waitLog while something goes on.
func (p *process) waitLogMeanwhile(level int, part string, work func()) {
	p.t.Helper()
	for deadline := time.Now().Add(replyTimeout); time.Now().Before(deadline); {
		work()
		for _, l := range p.takeLogs() {
			if l.level == level && containsAll(l.text, []string{part}) {
				return
			}
		}
	}
	p.t.Fatalf("no line with %q", part)
}

// With on_start_error passthrough a filter starts without its module, and has it once the file is one.
// Before a reload, the module that can't be started is refused all the same, as is a wrong option at any
// time.
func TestStartWithoutModule(t *testing.T) {
	eachFamily(t, func(t *testing.T, f family) {
		p := loaded(t, f)
		path := filepath.Join(t.TempDir(), "guest.wat")
		s := func(more ...string) settings {
			s := settings{"wasm_path": path, "function_name": function, "on_start_error": "passthrough", "reload_interval": "10ms", "timeout": "1m"}
			for i := 0; i < len(more); i += 2 {
				s[more[i]] = more[i+1]
			}
			return s
		}
		// Filters of one pipeline are asked about in turn with their starts.
		passes, drops := p.instance(s()), p.instance(s("on_error", "drop"))
		for _, i := range []instance{passes, drops} {
			if ret := i.init(); ret != 0 {
				t.Fatalf("init = %d; log: %v", ret, p.takeLogs())
			}
			p.waitLog(levelError, path, "there is no module until its file changes")
		}
		chunk := numbered(0, 3)
		same(t, chunk, passes.filter("app", chunk).over(chunk))
		if out := drops.filter("app", chunk); out.verdict != modified || len(out.out) > 0 {
			t.Errorf("%v", out)
		}
		for _, bad := range []settings{s(), s("timeout", "abc")} {
			i := p.instance(bad)
			if f.preRun {
				if ret := i.preRun(); ret == 0 {
					t.Errorf("%v passes the check before a reload", bad)
				}
				p.waitLog(levelError, "option ")
			}
			if bad["timeout"] == "abc" {
				if ret := i.init(); ret == 0 {
					t.Errorf("%v starts", bad)
				}
			}
			i.exit()
		}
		replaceModule(t, path, guests.Version("A"))
		for _, i := range []instance{passes, drops} {
			p.waitLogMeanwhile(levelInfo, "reloaded: module ", func() { i.filter("app", chunk) })
			if got := versionsOf(t, i.filter("app", chunk).over(chunk), 0); got != "A" {
				t.Errorf("version %q", got)
			}
			i.exit()
		}
	})
}
