package filter

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/state"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
)

// reloading is a filter whose reloader does what it does when the test says so, on the test's goroutine.
type reloading struct {
	*fixture
	t    *testing.T
	once sync.Once
	path string
	now  time.Time
}

// startReloading starts one of a module, "" for no file, with reload_module unless the options are for
// on_start_error.
func startReloading(t *testing.T, o options.Options, module string) *reloading {
	t.Helper()
	r := &reloading{t: t, fixture: &fixture{}, path: filepath.Join(t.TempDir(), "guest.wat"), now: time.Unix(1e9, 0)}
	if module != "" {
		replaceFile(t, r.path, module)
	}
	o.WasmPath, o.FunctionName = r.path, "filter"
	o.ReloadModule = o.OnStartError == options.FailStart
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	f, err := newWhole(o, func(level hostlog.Level, line string) { r.logs = append(r.logs, logged{level, line}) })
	if err != nil {
		t.Fatal(err)
	}
	r.Filter = f
	r.reload.now = func() time.Time { return r.now }
	for _, g := range f.all() {
		g.breaker.now = r.reload.now
		if g.absent != nil {
			g.breaker.trip()
		}
	}
	here := func(f func()) error { f(); return nil }
	r.reload.compile, r.reload.try = here, here
	close(r.reload.done)
	t.Cleanup(r.Close)
	return r
}

// Close may be called twice.
func (r *reloading) Close() { r.once.Do(r.Filter.Close) }

// looks has the reloader look twice, so that a change counts.
func (r *reloading) looks() {
	r.reload.look()
	r.reload.look()
}

// run runs records with these numbers as one chunk, and returns their versions.
func (r *reloading) run(numbers ...int) (versions string) {
	r.t.Helper()
	in := chunkOf(numbers...)
	out, modified := r.Run(tag, in)
	if !modified {
		out = in
	}
	list := bodies(r.t, out)
	if len(list) != len(numbers) {
		r.t.Fatalf("%d records of %d", len(list), len(numbers))
	}
	for i, b := range list {
		version, record := versionOf(b)
		if n := record["n"]; n != int64(numbers[i]) {
			r.t.Fatalf("record %v in the place of %d", n, numbers[i])
		}
		versions += version
	}
	return versions
}

func chunkOf(numbers ...int) (in []byte) {
	for _, n := range numbers {
		in = append(in, event(int64(n+1), map[string]any{"n": n})...)
	}
	return in
}

// versionOf returns the version that a record has been through, "-" for none, and the record.
func versionOf(body any) (string, map[any]any) {
	record := body.(map[any]any)
	if inner, ok := record["record"].(map[any]any); ok {
		return record["version"].(string), inner
	}
	return "-", record
}

func (r *reloading) want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: records of versions %q, want %q; log: %v", what, got, want, r.logs)
	}
}

// results are reloads by what has come of them.
func (r *reloading) results() string {
	got := r.Report().Reloads
	return fmt.Sprint(got[ReloadSuccess], got[ReloadFailure], got[ReloadRollback])
}

// Whichever way the file becomes another one, the new version takes over with the next chunk after two
// looks that have found the same, and the log says so once.
func TestReload(t *testing.T) {
	for name, way := range map[string]func(t *testing.T, path, module string){
		"rename": func(t *testing.T, path, module string) { replaceFile(t, path, module) },
		"in place": func(t *testing.T, path, module string) {
			if err := os.WriteFile(path, []byte(module), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"map of Kubernetes": func(t *testing.T, path, module string) {
			dir := filepath.Dir(path)
			version := fmt.Sprintf("..%d", time.Now().UnixNano())
			if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
				t.Fatal(err)
			}
			replaceFile(t, filepath.Join(dir, version, "guest.wat"), module)
			link := func(to, name string) {
				if err := os.Symlink(to, filepath.Join(dir, "..tmp")); err != nil {
					t.Fatal(err)
				}
				if err := os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
			link(version, "..data")
			link(filepath.Join("..data", "guest.wat"), "guest.wat")
		},
	} {
		for _, workers := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s, %d workers", name, workers), func(t *testing.T) {
				r := startReloading(t, options.Options{Workers: workers, ReloadProbe: 10}, guests.Version("A"))
				r.want(t, "start", r.run(1, 2, 3), "AAA")
				for i, version := range []string{"B", "C", "B"} {
					before := string('A' + byte(i))
					way(t, r.path, guests.Version(version))
					r.reload.look()
					r.want(t, "one look", r.run(1, 2, 3), strings.Repeat(before, 3))
					if alone := workers == 1; r.lane.Ready() != alone {
						t.Fatalf("C may have the next chunk: %v", !alone)
					}
					r.reload.look()
					if r.lane.Ready() {
						t.Fatal("C may have the chunk with which the version takes over")
					}
					r.want(t, "two looks", r.run(1, 2, 3), strings.Repeat(version, 3))
					r.looks()
					if n := r.count(hostlog.Info, "reloaded: module "+r.path+", version "); n != i+1 {
						t.Fatalf("%d lines: %v", n, r.logs)
					}
				}
				way(t, r.path, guests.Version("B")) // another file, the same module
				r.looks()
				r.want(t, "the same", r.run(1), "B")
				if got := r.results(); got != "3 0 0" {
					t.Errorf("reloads: %s", got)
				}
			})
		}
	}
}

// A chunk that C has begun with ends with the version that it began with.
func TestReloadInsideOfChunk(t *testing.T) {
	r := startReloading(t, options.Options{}, guests.Version("A"))
	in := chunkOf(1, 2, 3, 4)
	r.lane.Begin(len(in))
	if stop := r.lane.Run(tag, in, 2); stop != guest.StopBudget {
		t.Fatal(stop)
	}
	replaceFile(t, r.path, guests.Version("B"))
	r.looks()
	r.want(t, "the chunk that was begun", r.run(1, 2, 3, 4), "AAAA")
	r.want(t, "the next one", r.run(1, 2), "BB")
}

// What can't run does not take over, says why once, and is tried again when the file has changed. What
// runs goes on, with its state.
func TestReloadRefused(t *testing.T) {
	good := guests.Version("B")
	for name, test := range map[string]struct{ module, why string }{
		"half written":     {good[:len(good)/2], "is not valid WebAssembly text"},
		"empty":            {" ", "is not valid WebAssembly text"},
		"start fails":      {strings.Replace(good, `(func (export "filter")`, `(start $fails) (func $fails unreachable) (func (export "filter")`, 1), "can't instantiate the module"},
		"function missing": {strings.Replace(good, `"filter"`, `"other"`, 1), "function_name"},
		"unknown import":   {guests.WAT("unknown_import"), "import"},
		"no grant":         {guests.WAT("counts_in_store"), "store_limit"},
		"machine code":     {"\x7fELF" + strings.Repeat("\x00", 100), "is not valid WebAssembly text"},
	} {
		t.Run(name, func(t *testing.T) {
			r := startReloading(t, options.Options{Workers: 2, ReloadProbe: 10}, guests.Version("A"))
			replaceFile(t, r.path, test.module)
			r.looks()
			r.looks()
			r.want(t, "refused", r.run(1, 2), "AA")
			r.looks()
			r.run(1)
			if n := r.count(hostlog.Error, "reload refused: "); n != 1 {
				t.Fatalf("%d lines: %v", n, r.logs)
			}
			if r.count(hostlog.Error, test.why) != 1 || r.count(hostlog.Error, "; version "+shortHash(r.module)+" goes on") != 1 {
				t.Errorf("%v, want %q", r.logs, test.why)
			}
			replaceFile(t, r.path, good)
			r.looks()
			r.want(t, "mended", r.run(1, 2), "BB")
			if got := r.results(); got != "1 1 0" {
				t.Errorf("reloads: %s", got)
			}
		})
	}
}

// A module that is pinned stays, whatever takes its file's place.
func TestReloadPinned(t *testing.T) {
	a := guests.Version("A")
	r := startReloading(t, options.Options{WasmSHA256: fmt.Sprintf("%x", sha256.Sum256([]byte(a)))}, a)
	replaceFile(t, r.path, guests.Version("B"))
	r.looks()
	r.want(t, "another hash", r.run(1), "A")
	if r.count(hostlog.Error, ", and wasm_sha256 asks for ") != 1 {
		t.Errorf("%v", r.logs)
	}
}

// A file that is not there for a while changes nothing.
func TestReloadMissing(t *testing.T) {
	r := startReloading(t, options.Options{}, guests.Version("A"))
	if err := os.Remove(r.path); err != nil {
		t.Fatal(err)
	}
	r.reload.look()
	r.run(1)
	if len(r.logs) > 1 {
		t.Errorf("%v", r.logs)
	}
	for range 3 {
		r.looks()
		r.want(t, "missing", r.run(1), "A")
	}
	if n := r.count(hostlog.Warn, "option wasm_path: "+r.path+": no such file or directory: what has been loaded goes on"); n != 1 {
		t.Errorf("%d lines: %v", n, r.logs)
	}
	replaceFile(t, r.path, guests.Version("B"))
	r.looks()
	r.want(t, "back", r.run(1), "B")
}

// The configuration is another version, too: that of a file, beneath what the options set.
func TestReloadConfiguration(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.json")
	replaceFile(t, file, `{"greeting":"one"}`)
	o, err := options.Options{ConfigFile: file}.WithConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	replaceFile(t, file, `{"greeting":"since"}`) // after the options have been read
	r := startReloading(t, o, guests.WAT("configured"))
	greeting := func() any {
		out, _ := r.Run(tag, chunkOf(1))
		return bodies(t, out)[0].(map[any]any)["config"]
	}
	r.looks()
	if got := greeting(); got != "since" {
		t.Errorf("%v at the start", got)
	}
	for _, step := range []struct{ config, want, line string }{
		{`{"greeting":"two"}`, "two", "with another configuration"},
		{`{"greeting":`, "two", "reload refused: option config_file: "},
		{`{"other":"x"}`, "two", "it refuses its configuration"},
		{`{"greeting":"three"}`, "three", "with another configuration"},
	} {
		replaceFile(t, file, step.config)
		r.logs = nil
		r.looks()
		if got := greeting(); got != step.want {
			t.Errorf("%s: %v, want %s", step.config, got, step.want)
		}
		if len(r.logs) != 1 || !strings.Contains(r.logs[0].line, step.line) {
			t.Errorf("%s: logged %v", step.config, r.logs)
		}
	}
	if got := r.results(); got != "3 2 0" {
		t.Errorf("reloads: %s", got)
	}
}

// trapsOn is a version that traps on records with this text, or on all.
func trapsOn(version, text string) string {
	wat := guests.Version(version)
	if text == "" {
		return strings.Replace(wat, "(memory.copy", "unreachable (memory.copy", 1)
	}
	// The digits of {"n":D} decide.
	return strings.Replace(wat, "(memory.copy",
		fmt.Sprintf(`(if (i32.eq (i32.load8_u (i32.sub (i32.add (local.get $record) (local.get $record_len)) (i32.const 2))) (i32.const %d)) (then unreachable)) (memory.copy`, text[0]), 1)
}

// A version that fails on more of the last records than the one that runs does not take over.
func TestReloadProbe(t *testing.T) {
	hangs := strings.Replace(guests.Version("B"), "(memory.copy", "(loop $l (br $l)) (memory.copy", 1)
	for name, test := range map[string]struct {
		now, next string
		probe     int
		want      string
	}{
		"good":          {guests.Version("A"), guests.Version("B"), 100, "B"},
		"all":           {guests.Version("A"), trapsOn("B", ""), 100, ""},
		"one in ten":    {guests.Version("A"), trapsOn("B", "7"), 100, ""},
		"no more":       {trapsOn("A", "3"), trapsOn("B", "7"), 100, "B"},
		"a worse one":   {trapsOn("A", "3"), trapsOn("B", ""), 100, ""},
		"hangs":         {guests.Version("A"), hangs, 100, ""},
		"not looked at": {guests.Version("A"), trapsOn("B", "7"), 0, "B"},
		"too few":       {guests.Version("A"), trapsOn("B", "7"), 3, "B"},
	} {
		t.Run(name, func(t *testing.T) {
			r := startReloading(t, options.Options{ReloadProbe: test.probe, Timeout: 20 * time.Millisecond}, test.now)
			r.reload.look()
			for range 10 {
				r.now = r.now.Add(sampleInterval)
				r.reload.look()
				r.Run(tag, chunkOf(0, 1, 2, 3, 4, 5, 6, 7, 8, 9))
				r.Run(tag, chunkOf(7, 7, 7)) // is not a sample: the second has had one
			}
			before := r.Stats()
			replaceFile(t, r.path, test.next)
			r.looks()
			if got := r.Stats(); got != before {
				t.Errorf("the probe is counted: %v, before %v", got, before)
			}
			want := "A"
			if test.want != "" {
				want = test.want
			}
			r.want(t, "after", r.run(1), want)
			if refused := r.count(hostlog.Error, "reload_probe: version "); (refused == 1) != (test.want == "") || refused > 1 {
				t.Errorf("%v", r.logs)
			}
			if r.reload.heads.records > test.probe+9 || r.reload.heads.bytes > maxSampleBytes {
				t.Errorf("samples of %d records, %d bytes", r.reload.heads.records, r.reload.heads.bytes)
			}
		})
	}
}

// What a probe does is not in the filter's store and metrics.
func TestReloadProbeHasItsOwnState(t *testing.T) {
	o := options.Options{ReloadProbe: 100, StoreLimitBytes: 1e6, MetricsSeries: 100}
	wat := guests.WAT("counts_in_store")
	r := startReloading(t, o, wat)
	r.reload.look()
	count := func() any {
		out, _ := r.Run(tag, chunkOf(1))
		return bodies(t, out)[0].(map[any]any)["count"]
	}
	for i := range 5 {
		if got := count(); got != int64(i+1) {
			t.Fatalf("count %v, want %d", got, i+1)
		}
	}
	replaceFile(t, r.path, wat+"\n;; another version\n")
	r.looks()
	if got := count(); got != int64(6) {
		t.Errorf("count %v after the reload, want 6: %v", got, r.logs)
	}
	if r.Report().Reloads[ReloadSuccess] != 1 || len(r.reload.heads.list) == 0 {
		t.Errorf("reloads %s, samples %v", r.results(), r.reload.heads.list)
	}
	m := r.Metrics()
	if len(m) != 1 || len(m[0].Series) != 1 || m[0].Series[0].Value != 6 {
		t.Errorf("%v", m)
	}
}

// The samples are the heads of the last chunks, and bounded.
func TestSamples(t *testing.T) {
	var s heads
	for i := range 50 {
		s.add(tag, chunkOf(i, i, i), 10)
	}
	numbers := func() (list []any) {
		for _, one := range s.copy() {
			if !bytes.Equal(one.tag, tag) {
				t.Errorf("tag %q", one.tag)
			}
			for _, b := range bodies(t, one.data) {
				list = append(list, b.(map[any]any)["n"])
			}
		}
		return list
	}
	n := func(v int) any { return int64(v) }
	want := []any{n(46), n(46), n(46), n(47), n(47), n(47), n(48), n(48), n(48), n(49), n(49), n(49)}
	if diff := cmp.Diff(want, numbers()); diff != "" {
		t.Error(diff)
	}
	s.add(tag, chunkOf(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12), 10)
	if diff := cmp.Diff([]any{n(1), n(2), n(3), n(4), n(5), n(6), n(7), n(8), n(9), n(10)}, numbers()); diff != "" {
		t.Error(diff)
	}
	// What can't be read, or is too large, is not kept.
	s.add(tag, []byte{0xc1}, 10)
	s.add(tag, event(1, map[string]any{"n": strings.Repeat("x", maxSampleBytes)}), 10)
	if len(numbers()) != 10 || s.records != 10 {
		t.Errorf("%d records, %d counted", len(numbers()), s.records)
	}
	half := event(1, map[string]any{"n": strings.Repeat("x", maxSampleBytes/2)})
	for range 5 {
		s.add(tag, join(half, half, half), 10)
		if s.bytes > maxSampleBytes || s.records != len(numbers()) {
			t.Fatalf("%d bytes in %d samples of %d records", s.bytes, len(s.list), s.records)
		}
	}
}

// A version that keeps failing in its first minute is taken back: at once, in the middle of a chunk, unless
// that is shared. It is not tried again until the file changes, and another one after it is.
func TestReloadTakenBack(t *testing.T) {
	for _, workers := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d workers", workers), func(t *testing.T) {
			o := options.Options{Workers: workers, BreakerFailures: 3, BreakerBackoff: time.Hour}
			r := startReloading(t, o, guests.Version("A"))
			bad := trapsOn("B", "")
			replaceFile(t, r.path, bad)
			r.looks()
			r.now = r.now.Add(trialTime - time.Second)
			got := r.run(0, 1, 2, 3, 4, 5, 6, 7)
			if workers == 1 {
				r.want(t, "tripped", got, "---AAAAA")
			} else {
				r.want(t, "tripped", got, "--------")
			}
			r.want(t, "after", r.run(0, 1, 2, 3, 4), "AAAAA")
			if n := r.count(hostlog.Error, "taken back: module "+r.path); n != 1 {
				t.Errorf("%d lines: %v", n, r.logs)
			}
			if got := r.Report(); got.Module == nil || got.Module.Hash != r.module.Hash() || len(got.Previous) != 1 || got.Loads[guest.Compiled] != 2 {
				t.Errorf("%+v", got)
			}
			if got := r.Stats(); got.Causes[breakerOpen] != uint64(map[int]int{1: 0, 2: 2}[workers]) {
				t.Errorf("%v", got)
			}
			r.looks()
			r.want(t, "not again", r.run(0), "A")
			replaceFile(t, r.path, bad)
			r.looks()
			r.want(t, "not again, though the file is another one", r.run(0), "A")
			if r.count(hostlog.Error, "has been taken back before; version "+shortHash(r.module)+" goes on") != 1 {
				t.Errorf("%v", r.logs)
			}
			replaceFile(t, r.path, guests.Version("C"))
			r.looks()
			r.want(t, "another one", r.run(0), "C")
			if got := r.results(); got != "2 1 1" {
				t.Errorf("reloads: %s", got)
			}
		})
	}
}

// After its first minute, a version that fails is the one that stays.
func TestReloadStays(t *testing.T) {
	r := startReloading(t, options.Options{BreakerFailures: 3, BreakerBackoff: time.Hour}, guests.Version("A"))
	replaceFile(t, r.path, trapsOn("B", "7"))
	r.looks()
	r.want(t, "good records", r.run(1), "B")
	if r.reload.previous == nil {
		t.Fatal("the version before is gone")
	}
	r.now = r.now.Add(trialTime)
	r.want(t, "bad records", r.run(7, 7, 7, 1, 1), "-----")
	if r.count(hostlog.Error, "taken back") > 0 || r.Report().Reloads[ReloadRollback] > 0 {
		t.Errorf("%v", r.logs)
	}
	r.looks()
	if r.reload.previous != nil || r.reload.retired != nil {
		t.Error("the version before is still there")
	}
}

// A version that follows one that is out of the path is in the path, and nothing goes back to the failing one.
func TestReloadMends(t *testing.T) {
	r := startReloading(t, options.Options{BreakerFailures: 3, BreakerBackoff: time.Hour}, trapsOn("A", ""))
	r.want(t, "failing", r.run(1, 2, 3, 4), "----")
	replaceFile(t, r.path, guests.Version("B"))
	r.looks()
	r.want(t, "mended", r.run(1, 2), "BB")
	if r.reload.previous != nil {
		t.Error("the failing version is kept")
	}
}

// Between the two ABIs a filter goes back and forth, and a batch guest is taken back at the next chunk.
func TestReloadOtherABI(t *testing.T) {
	batch := guests.WAT("batch_masks")
	r := startReloading(t, options.Options{BatchRecords: 10, BatchBytes: 1e6, BreakerFailures: 3, BreakerBackoff: time.Hour}, guests.Version("A"))
	r.want(t, "six arguments", r.run(1, 2), "AA")
	replaceFile(t, r.path, batch)
	r.looks()
	r.Run(tag, chunkOf(1, 2))
	if !r.batch || r.Report().Reloads[ReloadSuccess] != 1 {
		t.Fatalf("%v", r.logs)
	}
	replaceFile(t, r.path, guests.Version("B"))
	r.looks()
	r.want(t, "six arguments again", r.run(1, 2), "BB")
	replaceFile(t, r.path, strings.Replace(batch, `(func (export "filter") (param`, `(func (export "filter") (param i32 i32) (result i32) unreachable) (func (param`, 1))
	r.looks()
	var many []int
	for n := range 50 {
		many = append(many, n)
	}
	r.want(t, "failing", r.run(many...), strings.Repeat("-", len(many)))
	if !r.batch || r.count(hostlog.Error, "unreachable") == 0 {
		t.Fatalf("%v", r.logs)
	}
	r.want(t, "taken back", r.run(1, 2), "BB")
	if r.batch || r.Report().Reloads[ReloadRollback] != 1 {
		t.Errorf("%v", r.logs)
	}
}

// With on_start_error passthrough a filter starts without a module. Its records follow on_error, and once
// the file is a module, it takes over, without reload_module; what comes then needs that.
func TestStartWithout(t *testing.T) {
	for name, module := range map[string]string{
		"missing":      "",
		"broken":       "(module",
		"start fails":  strings.Replace(guests.Version("B"), `(func (export "filter")`, `(start $fails) (func $fails unreachable) (func (export "filter")`, 1),
		"other export": strings.Replace(guests.Version("B"), `"filter"`, `"other"`, 1),
	} {
		for _, workers := range []int{1, 3} {
			for _, onError := range []options.OnError{options.Passthrough, options.Drop, options.Mark} {
				t.Run(fmt.Sprint(name, workers, onError), func(t *testing.T) {
					o := options.Options{
						OnStartError: options.StartWithout, OnError: onError, MarkKey: "why", Workers: workers,
						BreakerFailures: 100, BreakerBackoff: time.Second,
					}
					r := startReloading(t, o, module)
					if r.count(hostlog.Error, "there is no module until its file changes") != 1 || len(r.logs) != 1 {
						t.Fatalf("%v", r.logs)
					}
					in := chunkOf(1, 2, 3, 4)
					chunks := 0
					for range 5 {
						out, modified := r.Run(tag, in)
						chunks++
						if !modified {
							out = in
						}
						list := bodies(t, out)
						switch {
						case onError == options.Drop && len(list) > 0,
							onError != options.Drop && len(list) != 4,
							onError == options.Passthrough && !bytes.Equal(out, in),
							onError == options.Mark && list[0].(map[any]any)["why"] != causeTexts[noModule]:
							t.Fatalf("%v", list)
						}
						r.now = r.now.Add(2 * time.Second)
						r.looks()
					}
					if got := r.Report(); got.Module != nil || got.Breakers[closed] > 0 {
						t.Errorf("%+v", got)
					}
					if got := r.Stats(); got.Failed != uint64(4*chunks) || got.Causes[noModule] != got.Failed || got.Records != got.Failed {
						t.Errorf("%v", got)
					}
					if n := r.count(hostlog.Error, "there is still no module"); n != 1 {
						t.Errorf("%d lines: %v", n, r.logs)
					}
					replaceFile(t, r.path, "(module (still broken")
					r.looks()
					r.Run(tag, in)
					if n := r.count(hostlog.Error, "reload refused: "); n != 1 {
						t.Errorf("%d lines: %v", n, r.logs)
					}
					replaceFile(t, r.path, guests.Version("A"))
					r.looks()
					r.want(t, "mended", r.run(1, 2, 3, 4), "AAAA")
					replaceFile(t, r.path, guests.Version("C"))
					r.looks()
					r.want(t, "reload_module is off", r.run(1, 2), "AA")
					if got := r.results(); got != "1 1 0" {
						t.Errorf("reloads: %s", got)
					}
				})
			}
		}
	}
}

// A check finds what is wrong with a module whatever on_start_error says, and tells it from what is wrong
// with options.
func TestCheckOfStartWithout(t *testing.T) {
	o := options.Options{WasmPath: filepath.Join(t.TempDir(), "absent.wasm"), FunctionName: "filter", OnStartError: options.StartWithout}
	err := Check(o)
	if !IsStartError(err) {
		t.Errorf("%v", err)
	}
	o.Tables = []options.TableFile{{Name: "t", Path: o.WasmPath + ".csv"}}
	if err := Check(o); err == nil || IsStartError(err) {
		t.Errorf("%v", err)
	}
	if _, err := New(o, func(hostlog.Level, string) {}); err == nil {
		t.Error("a table that is not there is no error")
	}
}

// While chunks go through, with the reloader on its own threads, versions take over from each other: each
// record comes out once, in its place, and each chunk is of one version; what has been replaced is freed.
func TestReloadUnderLoad(t *testing.T) {
	for _, workers := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d workers", workers), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "guest.wat")
			replaceFile(t, path, guests.Version("A"))
			r := &reloading{t: t, fixture: &fixture{}}
			instances, modules := guest.Open(), guest.Loaded()
			f, err := New(options.Options{
				WasmPath: path, FunctionName: "filter", Workers: workers, Timeout: time.Minute,
				ReloadModule: true, ReloadInterval: time.Millisecond, ReloadProbe: 50,
			}, func(level hostlog.Level, line string) { r.logs = append(r.logs, logged{level, line}) })
			if err != nil {
				t.Fatal(err)
			}
			r.Filter = f
			t.Cleanup(r.Close)
			const swaps = 50
			var longest time.Duration
			version, n := "A", 0
			deadline := time.Now().Add(2 * time.Minute)
			for swap := range swaps {
				next := string('A' + byte(swap+1)%26)
				replaceFile(t, path, guests.Version(next))
				for version != next {
					if time.Now().After(deadline) {
						t.Fatalf("swap %d does not come: %v", swap, r.logs)
					}
					before := time.Now()
					got := r.run(n, n+1, n+2, n+3, n+4, n+5)
					longest = max(longest, time.Since(before))
					n += 6
					if got != strings.Repeat(version, 6) && got != strings.Repeat(next, 6) {
						t.Fatalf("records of versions %q, after %s and before %s", got, version, next)
					}
					version = got[:1]
				}
			}
			if got := f.Stats(); got.Records != uint64(n) || got.Returned != uint64(n) || got.Failed != 0 {
				t.Errorf("%d records: %v", n, got)
			}
			// What runs, what ran before, what waits to be freed, and what is tried.
			if n := guest.Open() - instances; n > 5*workers {
				t.Errorf("%d instances after %d swaps", n, swaps)
			}
			if got := r.results(); got != fmt.Sprint(swaps, 0, 0) {
				t.Errorf("reloads: %s: %v", got, r.logs)
			}
			t.Logf("%d records, the longest chunk took %v", n, longest)
			r.Close()
			if f.reload.retired != nil || f.reload.next != nil || f.reload.previous != nil {
				t.Error("something is left that is not freed")
			}
			if n, m := guest.Open()-instances, guest.Loaded()-modules; n > 0 || m > 0 {
				t.Errorf("%d instances and %d modules are left", n, m)
			}
		})
	}
}

// A version that defines a metric of the running one in another way is refused before it has touched what both
// share: the running one goes on, and may define what the refused one had in mind.
func TestReloadOtherMetrics(t *testing.T) {
	counts := guests.WAT("counts_in_store")
	o := options.Options{StoreLimitBytes: 1 << 20, MetricsSeries: 10, ReloadProbe: 10, BreakerFailures: 3, BreakerBackoff: time.Hour}
	gauge := strings.Replace(counts, "(call $define (i32.const 1)", "(call $define (i32.const 2)", 1)
	// It is refused for what comes after.
	other := strings.NewReplacer(`"seen_total"`, `"also_total"`, `"digit")`, `"tigid")`, "(i32.const 0))\n  (func (export \"filter\")", "unreachable)\n  (func (export \"filter\")").Replace(counts)
	late := strings.NewReplacer(`(func (export "flb_configure")`, "(func $late", "(local.set $digit\n", `(if (i32.eq (global.get $seen) (i32.const -1)) (then (drop (call $late)))) (local.set $digit `).Replace(gauge)
	for name, module := range map[string]string{"another kind": gauge, "another one, and a trap": other, "another kind, with the first record": late} {
		t.Run(name, func(t *testing.T) {
			r := startReloading(t, o, counts)
			r.looks()
			r.Run(tag, chunkOf(4, 5))
			replaceFile(t, r.path, module)
			r.looks()
			if out, _ := r.Run(tag, chunkOf(1, 2, 3)); len(out) == 0 {
				t.Error("nothing has come out")
			}
			if s := r.Stats(); s.Failed != 0 || s.Records != 5 {
				t.Errorf("%v", s)
			}
			if got := r.results(); got != "0 1 0" {
				t.Errorf("reloads: %s; %v", got, r.logs)
			}
			if list := r.Metrics(); len(list) != 1 || list[0].Name != "seen_total" || list[0].Kind != state.Counter {
				t.Errorf("metrics: %+v", list)
			}
		})
	}
}

// Close waits for a while only for a version that does not come to the end of its start, and what that
// version uses stays until it has.
func TestCloseLeavesAStartBehind(t *testing.T) {
	defer func(d time.Duration) { endWait = d }(endWait)
	endWait = time.Millisecond
	r := startReloading(t, options.Options{StoreLimitBytes: 1 << 20, MetricsSeries: 10, ReloadProbe: 0}, guests.Version("A"))
	begun, goOn, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	r.reload.try = func(f func()) error {
		go func() {
			defer close(ended)
			r.reload.making.Lock() // as make does
			close(begun)
			<-goOn
			r.reload.making.Unlock()
			f()
		}()
		return nil
	}
	replaceFile(t, r.path, guests.Version("B"))
	r.looks()
	<-begun
	shared := r.state
	r.Close()
	if !shared.HasStore() || !shared.HasMetrics() {
		t.Error("what the version uses is gone")
	}
	close(goOn)
	<-ended
	<-r.reload.ended
	if shared.HasStore() || shared.HasMetrics() {
		t.Error("what the version used is left")
	}
}

// A head takes no more memory than its records, whatever has had its place.
func TestHeadsHoldWhatTheyNeed(t *testing.T) {
	var s heads
	large := event(1, map[string]any{"n": strings.Repeat("x", maxSampleBytes/4)})
	for n := range 20000 { // a large one comes in the place of each in turn
		if n%97 == 0 {
			s.add(tag, large, 100)
		} else {
			s.add(tag, chunkOf(n), 100)
		}
	}
	held := 0
	for _, h := range s.list {
		held += cap(h.data)
	}
	if held > 2*maxSampleBytes {
		t.Errorf("%d bytes are held for %d", held, s.bytes)
	}
}

// While no chunk comes the last lines wait.
func TestReloadLinesAreBounded(t *testing.T) {
	r := startReloading(t, options.Options{}, guests.Version("A"))
	for n := range 10 * maxWaitingLines {
		r.reload.tell(hostlog.Warn, fmt.Sprint("line ", n))
	}
	if n := len(r.reload.lines); n != maxWaitingLines {
		t.Errorf("%d lines", n)
	}
	r.run(0)
	if r.count(hostlog.Warn, fmt.Sprint("line ", 10*maxWaitingLines-1)) != 1 {
		t.Error("the last line is lost")
	}
}
