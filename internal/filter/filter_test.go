package filter

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ugorji/go/codec"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/version"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// The tests write and read chunks with a library's codec, never with the project's.

// event is [[sec, {}], body].
func event(sec int64, body any) []byte {
	return oracle.Pack(oracle.Current(sec, map[string]any{}, body))
}

func join(events ...[]byte) []byte {
	var b []byte
	for _, e := range events {
		b = append(b, e...)
	}
	return b
}

// decode reads all values of a chunk.
func decode(t testing.TB, b []byte) []any {
	t.Helper()
	h := &codec.MsgpackHandle{}
	h.RawToString = true
	h.SignedInteger = true
	var list []any
	d := codec.NewDecoderBytes(b, h)
	for d.NumBytesRead() < len(b) {
		var v any
		if err := d.Decode(&v); err != nil {
			t.Fatalf("the chunk can't be read: %v: % x", err, b)
		}
		list = append(list, v)
	}
	return list
}

// bodies are the second elements of a chunk's events.
func bodies(t testing.TB, b []byte) []any {
	t.Helper()
	list := decode(t, b)
	for i, v := range list {
		list[i] = v.([]any)[1]
	}
	return list
}

type logged struct {
	level hostlog.Level
	line  string
}

// fixture is a filter under test, with what it logged.
type fixture struct {
	*Filter
	logs []logged
	once sync.Once
}

func (f *fixture) count(level hostlog.Level, text string) int {
	n := 0
	for _, l := range f.logs {
		if l.level == level && strings.Contains(l.line, text) {
			n++
		}
	}
	return n
}

func writeGuest(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "guest.wat")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// start makes a filter of the module, with a timeout that slow machines keep.
func start(t testing.TB, text string, format options.EventFormat) *fixture {
	t.Helper()
	return startWith(t, options.Options{EventFormat: format, Timeout: time.Minute}, text)
}

// startWith makes a filter of the module, with these options and nothing but.
func startWith(t testing.TB, o options.Options, text string) *fixture {
	t.Helper()
	o.WasmPath, o.FunctionName = writeGuest(t, text), "filter"
	fx := &fixture{}
	f, err := New(o, func(level hostlog.Level, line string) { fx.logs = append(fx.logs, logged{level, line}) })
	if err != nil {
		t.Fatal(err)
	}
	fx.Filter = f
	t.Cleanup(fx.Close)
	return fx
}

// Close closes the filter, if it is not closed.
func (f *fixture) Close() { f.once.Do(f.Filter.Close) }

var tag = []byte("app.log")

// Every guest that fails a record leaves it as it came, in its place, says so
// in the log, and counts it.
func TestFailedRecordsPassUnchanged(t *testing.T) {
	for _, test := range []struct {
		guest  string
		format options.EventFormat
		log    string
	}{
		{"oob_pointer", options.JSON, "pointer outside its memory"},
		{"oob_store", options.JSON, "out of bounds memory access"},
		{"div_by_zero", options.JSON, "integer division by zero"},
		{"stack_overflow", options.JSON, "stack overflow"},
		{"not_a_map", options.JSON, "not a map"},
		{"bad_json", options.JSON, "reply can't be read"},
		{"malloc_null", options.JSON, "no memory left"},
		{"malloc_oob", options.JSON, "buffer outside its memory"},
		{"wasi_exit", options.JSON, "exited with status 3"},
		{"msgpack_not_a_map", options.Msgpack, "not a map"},
		{"msgpack_truncated", options.Msgpack, "does not end inside its memory"},
	} {
		t.Run(test.guest, func(t *testing.T) {
			f := start(t, guests.WAT(test.guest), test.format)
			in := join(event(1, map[string]any{"a": 1}), event(2, map[string]any{"b": "x"}))
			for range 2 {
				if out, modified := f.Run(tag, in); modified {
					t.Errorf("the chunk was modified: %v", decode(t, out))
				}
			}
			if f.count(hostlog.Error, "passed through unchanged: ") != 1 || f.count(hostlog.Error, test.log) != 1 {
				t.Errorf("want one error that says %q, got %v", test.log, f.logs)
			}
			want := Stats{Chunks: 2, Records: 4, Failed: 4}
			got := f.Stats()
			for _, n := range got.Causes {
				if n != 0 && n != 4 {
					t.Errorf("causes %v", got.Causes)
				}
			}
			got.GivenUp, got.NoMemory, got.Causes = 0, 0, want.Causes
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A guest that fails on some records does its work on the others, in order.
func TestFailuresBetweenRecords(t *testing.T) {
	f := start(t, guests.WAT("trap_when_told"), options.JSON)
	counter := start(t, guests.WAT("call_counter"), options.JSON)
	var in []byte
	for i := range 2000 {
		in = append(in, event(int64(i), map[string]any{"trap": i%3 == 0, "seq": i})...)
	}
	if out, modified := f.Run(tag, in); modified {
		t.Fatalf("the chunk was modified: %d of %d bytes", len(out), len(in))
	}
	want := Stats{Chunks: 1, Records: 2000, Returned: 1333, Failed: 667, GivenUp: 667}
	got := f.Stats()
	got.Causes = want.Causes
	// The last record does not trap, so every trap was followed by a new instance.
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	// Batches keep the order and count of calls.
	out, modified := counter.Run(tag, in)
	if !modified {
		t.Fatal("not modified")
	}
	list := bodies(t, out)
	if len(list) != 2000 {
		t.Fatalf("%d events", len(list))
	}
	for i, b := range list {
		if diff := cmp.Diff(map[any]any{"calls": int64(i + 1)}, b); diff != "" {
			t.Fatalf("event %d: %s", i, diff)
		}
	}
}

func TestTrapReplacesTheInstance(t *testing.T) {
	f := start(t, guests.WAT("trap_every_third"), options.JSON)
	in := join(event(1, map[string]any{"a": 1}))
	for range 9 {
		if _, modified := f.Run(tag, in); modified {
			t.Fatal("modified")
		}
	}
	if got := f.Stats(); got.Failed != 3 || got.GivenUp != 3 || got.Returned != 6 {
		t.Errorf("%+v", got)
	}
}

func TestDrop(t *testing.T) {
	in := join(event(1, map[string]any{"a": 1}), event(2, map[string]any{"a": 2}), event(3, map[string]any{"a": 3}))
	for _, name := range []string{"drop", "empty"} {
		f := start(t, guests.WAT(name), options.JSON)
		out, modified := f.Run(tag, in)
		if !modified || len(out) != 0 {
			t.Errorf("%s: modified %v, %d bytes", name, modified, len(out))
		}
		if got := f.Stats(); got.Dropped != 3 || got.Failed != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	f := start(t, guests.WAT("drop_every_other"), options.JSON)
	out, modified := f.Run(tag, in)
	if !modified {
		t.Fatal("not modified")
	}
	if n := len(decode(t, out)); n != 1 && n != 2 {
		t.Errorf("%d events are left of 3", n)
	}
}

// What stands around the body stays as it came, byte for byte.
func TestHeadersAreKept(t *testing.T) {
	body := []byte{0x81, 0xa1, 'x', 0x01}
	eventTime := []byte{0xd7, 0x00, 0, 0, 0, 7, 0, 0, 0, 9}
	long := append([]byte{0xc7, 8}, eventTime[1:]...)
	for name, header := range map[string][]byte{
		"legacy integer":    {0xce, 0, 0, 0, 7},
		"legacy event time": eventTime,
		"legacy float":      {0xcb, 0x40, 0x1c, 0, 0, 0, 0, 0, 0},
		"event time":        join([]byte{0x92}, eventTime, []byte{0x80}),
		"ext 8 time":        join([]byte{0x92}, long, []byte{0x80}),
		"metadata":          join([]byte{0x92}, eventTime, []byte{0x81, 0xa1, 'm', 0xc4, 1, 0xff}),
		"array 32, map 32":  join([]byte{0xdd, 0, 0, 0, 2}, eventTime, []byte{0xdf, 0, 0, 0, 0}),
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t, guests.WAT("wrap"), options.JSON)
			in := join([]byte{0xdd, 0, 0, 0, 2}, header, body)
			out, modified := f.Run(tag, in)
			if !modified {
				t.Fatal("not modified", f.logs)
			}
			want := join([]byte{0x92}, header)
			if !strings.HasPrefix(string(out), string(want)) {
				t.Fatalf("want % x first, got % x", want, out)
			}
			wantBody := map[any]any{"tag": "app.log", "sec": int64(7), "record": map[any]any{"x": int64(1)}}
			if diff := cmp.Diff(wantBody, decode(t, out[len(want):])[0]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Group markers pass as they came and where they came, and no guest sees them.
func TestGroupMarkers(t *testing.T) {
	begin := oracle.Pack([]any{[]any{-1, map[string]any{"schema": "otlp"}}, map[string]any{"resource": map[string]any{"a": 1}}})
	end := oracle.Pack([]any{[]any{-2, map[string]any{}}, map[string]any{}})
	record := event(1, map[string]any{"a": 1})

	f := start(t, guests.WAT("call_counter"), options.JSON)
	out, modified := f.Run(tag, join(begin, record, end, begin, record, end))
	if !modified {
		t.Fatal("not modified")
	}
	reply := func(n int) []byte { return event(1, map[string]any{"calls": n}) }
	if diff := cmp.Diff(decode(t, join(begin, reply(1), end, begin, reply(2), end)), decode(t, out)); diff != "" {
		t.Error(diff)
	}
	if !strings.HasPrefix(string(out), string(begin)) || !strings.HasSuffix(string(out), string(end)) {
		t.Error("a marker has changed")
	}

	dropper := start(t, guests.WAT("drop"), options.JSON)
	out, modified = dropper.Run(tag, join(begin, record, end))
	if !modified || string(out) != string(join(begin, end)) {
		t.Errorf("modified %v: % x", modified, out)
	}
}

// A chunk that can't be read to its end stays as it is, with one line in the log.
func TestCorruptChunk(t *testing.T) {
	good := join(event(1, map[string]any{"a": 1}), event(2, map[string]any{"b": []any{1, "x", 2.5}}))
	f := start(t, guests.WAT("wrap"), options.JSON)
	chunks := uint64(0)
	for cut := 1; cut < len(good); cut++ {
		if decodable(good[:cut]) {
			continue
		}
		chunks++
		if _, modified := f.Run(tag, good[:cut]); modified {
			t.Errorf("cut at %d: modified", cut)
		}
	}
	for _, tail := range [][]byte{{0xc1}, {0x92, 0x01}, {0x93, 1, 0x80, 0}, {0xdd, 0xff, 0xff, 0xff, 0xff}, {0x92, 0xa1, 'x', 0x80}} {
		chunks++
		if _, modified := f.Run(tag, join(good, tail)); modified {
			t.Errorf("tail % x: modified", tail)
		}
	}
	if n := f.count(hostlog.Error, "chunk of"); n != 1 {
		t.Errorf("%d lines in the log: %v", n, f.logs)
	}
	if diff := cmp.Diff(Stats{Chunks: chunks, Corrupt: chunks}, f.Stats()); diff != "" {
		t.Error(diff)
	}
}

// decodable: cut between two events.
func decodable(b []byte) bool {
	d := codec.NewDecoderBytes(b, &codec.MsgpackHandle{})
	for d.NumBytesRead() < len(b) {
		var raw codec.Raw
		if d.Decode(&raw) != nil {
			return false
		}
	}
	return true
}

// A body that is not a map passes; an empty chunk is nothing to do.
func TestOddChunks(t *testing.T) {
	f := start(t, guests.WAT("wrap"), options.JSON)
	if _, modified := f.Run(tag, nil); modified {
		t.Error("an empty chunk was modified")
	}
	odd := oracle.Pack([]any{1, "text"})
	out, modified := f.Run(nil, join(odd, event(2, map[string]any{"a": 1})))
	if !modified || !strings.HasPrefix(string(out), string(odd)) || len(decode(t, out)) != 2 {
		t.Errorf("modified %v: % x", modified, out)
	}
	if got := f.Stats(); got.Failed != 1 || got.Returned != 1 {
		t.Errorf("%+v", got)
	}
}

// A reply that repeats its record leaves what JSON can't hold as it was.
func TestRepeatedReplyIsExact(t *testing.T) {
	in := event(1, map[string]any{
		"bin": []byte{0, 0xff}, "nan": math.NaN(), "float32": float32(0.1),
		"key": map[any]any{int64(1): true}, "utf8": "\xff\xfe",
	})
	f := start(t, guests.WAT("identity"), options.JSON)
	if out, modified := f.Run(tag, in); modified {
		t.Errorf("modified: % x", out)
	}
	if got := f.Stats(); got.Returned != 1 || got.Failed != 0 {
		t.Errorf("%+v", got)
	}
}

func TestReplies(t *testing.T) {
	in := event(1, map[string]any{"q": 1})
	for guest, want := range map[string]map[any]any{
		"garbage_after":        {"a": int64(1)},
		"no_nul_at_memory_end": {"end": int64(1)},
		"scribble":             {"a": int64(1)},
	} {
		f := start(t, guests.WAT(guest), options.JSON)
		for range 3 {
			out, modified := f.Run(tag, in)
			if !modified {
				t.Fatalf("%s: not modified: %v", guest, f.logs)
			}
			if diff := cmp.Diff([]any{want}, bodies(t, out)); diff != "" {
				t.Errorf("%s: %s", guest, diff)
			}
		}
	}
	for guest, format := range map[string]options.EventFormat{
		"identity_noalloc": options.JSON, "expects_nul": options.JSON, "grow": options.JSON,
		"needs_initialize": options.JSON, "start_traps": options.JSON, "assemblyscript_like": options.JSON,
		"msgpack_identity": options.Msgpack,
	} {
		f := start(t, guests.WAT(guest), format)
		for range 5 {
			if out, modified := f.Run(tag, in); modified {
				t.Errorf("%s: modified: %v", guest, decode(t, out))
			}
		}
		if got := f.Stats(); got.Returned != 5 {
			t.Errorf("%s: %+v %v", guest, got, f.logs)
		}
	}
}

// Records of all sizes go through, in one batch or many, each with its own reply.
func TestSizes(t *testing.T) {
	for _, guest := range []string{"wrap", "identity_noalloc"} {
		f := start(t, guests.WAT(guest), options.JSON)
		var in []byte
		var want []any
		for _, n := range []int{0, 1, 31, 32, 255, 256, 65535, 65536, 200_000, 3, 500_000, 7} {
			s := strings.Repeat("x", n)
			in = append(in, event(1, map[string]any{"s": s})...)
			want = append(want, map[any]any{"s": s})
		}
		out, modified := f.Run(tag, in)
		if guest == "identity_noalloc" {
			if modified || f.Stats().Returned != 12 {
				t.Errorf("%s: %+v %v", guest, f.Stats(), f.logs)
			}
			continue
		}
		if !modified {
			t.Fatal("not modified", f.logs)
		}
		for i, b := range bodies(t, out) {
			body := b.(map[any]any)
			if inner, ok := body["record"]; ok {
				body = inner.(map[any]any)
			}
			if diff := cmp.Diff(want[i], any(body)); diff != "" {
				t.Errorf("record %d differs (%d bytes)", i, len(diff))
			}
		}
	}
}

// Deeper replies than Fluent Bit can read are refused, unless the record came
// as deep.
func TestReplyDepth(t *testing.T) {
	nest := func(depth int) any {
		var v any = map[string]any{}
		for range depth - 1 {
			v = map[string]any{"m": v}
		}
		return v
	}
	f := start(t, guests.WAT("wrap"), options.JSON) // one level more
	in := join(event(1, nest(30)), event(2, nest(31)), event(3, nest(40)))
	out, modified := f.Run(tag, in)
	if !modified {
		t.Fatal(f.logs)
	}
	if got := f.Stats(); got.Returned != 1 || got.Failed != 2 {
		t.Errorf("%+v %v", got, f.logs)
	}
	if f.count(hostlog.Error, "nests deeper") != 1 {
		t.Error(f.logs)
	}
	if n := len(decode(t, out)); n != 3 {
		t.Errorf("%d events", n)
	}
}

// The first line of a filter says what it runs, and which version of the plugin runs it.
func TestStartIsLogged(t *testing.T) {
	f := start(t, guests.WAT("identity"), options.JSON)
	if f.count(hostlog.Info, "module ") != 1 || f.count(hostlog.Info, "; plugin "+version.Version+", "+guest.EngineText()) != 1 {
		t.Error(f.logs)
	}
}

func TestGuestOutputIsLogged(t *testing.T) {
	f := start(t, guests.WAT("wasi_print"), options.JSON)
	f.Run(tag, event(1, map[string]any{"a": 1}))
	if f.count(hostlog.Info, "guest stdout: ") != 1 || f.count(hostlog.Warn, "guest stderr: ") != 1 {
		t.Error(f.logs)
	}
}

// AssemblyScript says why it stops.
func TestAbortMessage(t *testing.T) {
	f := start(t, guests.WAT("assemblyscript_like"), options.JSON)
	in := event(1, map[string]any{"abort": true})
	if _, modified := f.Run(tag, in); modified {
		t.Error("modified")
	}
	if f.count(hostlog.Error, "abort: bad record! in filter.ts:7:3") != 1 {
		t.Error(f.logs)
	}
}

func TestStartErrors(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, test := range []struct{ path, function, want string }{
		{dir + "/missing.wasm", "filter", "missing.wasm"},
		{dir, "filter", "not a regular file"},
		{write("empty.wasm", ""), "filter", "not a WebAssembly module"},
		{write("text.wasm", "hello"), "filter", "not a WebAssembly module"},
		{write("bad.wasm", "\x00asm\x01\x00\x00\x00\xff"), "filter", "not a module that can be compiled"},
		{write("bad.wat", "(module"), "filter", "not valid WebAssembly text"},
		{write("x.aot", "\x00aot\x00\x00"), "filter", "flb-wamrc"},
		{write("component.wasm", "\x00asm\x0d\x00\x01\x00"), "filter", "component"},
		{writeGuest(t, guests.WAT("identity")), "missing", "set function_name to one of filter"},
		{writeGuest(t, guests.WAT("wrong_signature")), "filter", "(i32, i32, i32, i32, i32, i32) -> i32"},
		{writeGuest(t, guests.WAT("unknown_import")), "filter", "env.mystery"},
		{writeGuest(t, guests.WAT("no_memory")), "filter", "--import-memory"},
		{writeGuest(t, guests.WAT("memory64")), "filter", "wasm32"},
	} {
		f, err := New(options.Options{WasmPath: test.path, FunctionName: test.function}, func(hostlog.Level, string) {})
		if err == nil {
			f.Close()
			t.Errorf("%s: no error, want %q", test.path, test.want)
			continue
		}
		if !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: want %q in %v", test.path, test.want, err)
		}
	}
}

// The hot path allocates nothing, however many records a chunk has.
func TestNoAllocationPerRecord(t *testing.T) {
	for _, test := range []struct {
		guest  string
		format options.EventFormat
	}{{"identity", options.JSON}, {"wrap", options.JSON}, {"msgpack_identity", options.Msgpack}, {"drop", options.JSON}} {
		f := start(t, guests.WAT(test.guest), test.format)
		var in []byte
		for i := range 500 {
			in = append(in, event(int64(i), map[string]any{"log": "GET / 200", "n": i, "f": 1.5, "m": map[string]any{"k": nil}})...)
		}
		if allocs := testing.AllocsPerRun(20, func() { f.Run(tag, in) }); allocs > 0 {
			t.Errorf("%s: %v allocations for 500 records", test.guest, allocs)
		}
	}
}
