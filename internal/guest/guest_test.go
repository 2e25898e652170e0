package guest

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tinylib/msgp/msgp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/emulator"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
)

// echoAtEnd answers its record, which its malloc puts at the very end of its
// memory: what the host reads behind it would be outside.
const echoAtEnd = `(module
  (memory (export "memory") 32 32)
  (func (export "malloc") (param $n i32) (result i32)
    (i32.sub (i32.const 2097152) (local.get $n)))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local.get 4)))`

func load(tb testing.TB, text string) *Module {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "guest.wat")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	m, err := Load(Source{Path: path})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(m.Close)
	return m
}

func instantiate(tb testing.TB, text string, config Config) *Instance {
	tb.Helper()
	config.Function = "filter"
	in, err := load(tb, text).NewInstance(config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(in.Close)
	return in
}

// reply runs one record and returns what became of it.
func reply(tb testing.TB, in *Instance, b *Batch, record, tag []byte) (Outcome, []byte) {
	tb.Helper()
	b.Reset()
	b.In = append(b.In, record...)
	b.Add(0, 1, 2)
	if next, err := in.Run(tag, b, 0, len(b.Records)); next != 1 || err != nil && !errors.Is(err, ErrRecycle) {
		tb.Fatalf("next %d, %v", next, err)
	}
	r := &b.Records[0]
	if r.Outcome != Reply {
		return r.Outcome, nil
	}
	return r.Outcome, b.Reply(r)
}

// Behind the record stand a NUL, the tag and a NUL, and then memory ends.
const tail = "\x00tag\x00"

// FuzzReplyMsgpack: the reply is the first value, if one ends inside memory, as
// msgp sees it.
func FuzzReplyMsgpack(f *testing.F) {
	for _, s := range []string{
		"\x80", "\x81\xa1a\x01", "\x81\xa1a", "\xdf\xff\xff\xff\xff\xa1a\x01", "\xdd\xff\xff\xff\xff", "\xc6\xff\xff\xff\xff",
		"\xc9\x00\x00\x00\x05\x01", "\xd9\x05abc", "\xc1", "\x00", "", "\xde\x00\x03\x01\x02\x03\x04\x05", "\xcb\x01\x02", "\xd8\x01",
		"\x92\x81\xa1b\xc4\x02\x00\x01\xc7\x01\x05\x09", "\xdc\xff\xff" + strings.Repeat("\x01", 40),
	} {
		f.Add([]byte(s))
	}
	in := instantiate(f, echoAtEnd, Config{Msgpack: true})
	var mu sync.Mutex
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		var b Batch
		defer b.Close()
		memory := append(bytes.Clone(data), tail...)
		outcome, got := reply(t, in, &b, data, []byte("tag"))
		rest, err := msgp.Skip(memory)
		switch {
		case memory[0] == 0:
			if outcome != Drop {
				t.Errorf("%v, want a drop", outcome)
			}
		case err != nil:
			// A byte that starts no value is for the reader to refuse.
			_, refused := msgp.Skip(got)
			if outcome != Unterminated && (refused == nil || !bytes.Contains(got, []byte{0xc1})) {
				t.Errorf("%v (% x), msgp says %v", outcome, got, err)
			}
		case outcome != Reply || !bytes.Equal(got, memory[:len(memory)-len(rest)]):
			t.Errorf("%v % x, want % x", outcome, got, memory[:len(memory)-len(rest)])
		}
	})
}

// FuzzReplyJSON: the reply ends at the first NUL that is near, and holds the
// first JSON value in any case.
func FuzzReplyJSON(f *testing.F) {
	for _, s := range []string{
		`{"a":1}`, `{"a":"}"}x`, `{"a":"\"}"`, ` [1,{"b":"]"}]`, `{`, `"x"`, `x`, ``, `{}}`, `]`, "{\"a\":\"\x00\"}",
	} {
		f.Add([]byte(s))
	}
	in := instantiate(f, echoAtEnd, Config{})
	var mu sync.Mutex
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		var b Batch
		defer b.Close()
		want, _, _ := bytes.Cut(data, []byte{0})
		outcome, got := reply(t, in, &b, data, []byte("tag"))
		if len(want) == 0 {
			if outcome != Drop {
				t.Errorf("%v, want a drop", outcome)
			}
			return
		}
		if outcome != Reply || !bytes.Equal(got, want) {
			t.Errorf("%v %q, want %q", outcome, got, want)
		}
	})
}

// unterminated answers a pointer to its record with every NUL behind it
// overwritten by garbage, so that only the value itself says where it ends.
const unterminated = `(module
  (memory (export "memory") 32 32)
  (func (export "malloc") (param $n i32) (result i32) (i32.const 65536))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (memory.fill (i32.add (local.get 4) (local.get 5)) (i32.const 0x7d)
      (i32.sub (i32.const 2097152) (i32.add (local.get 4) (local.get 5))))
    (local.get 4)))`

// FuzzReplyWithoutNUL: without a NUL, the reply is the first object or array,
// where encoding/json finds its end.
func FuzzReplyWithoutNUL(f *testing.F) {
	for _, s := range []string{
		`{"a":1}`, `{"a":"}\\"} `, "\t[[],{\"b\":\"]\\\"\"}]", `{"a":[}`, `{"a`, `1`, `null`, `[]`, `{} {}`,
	} {
		f.Add([]byte(s))
	}
	in := instantiate(f, unterminated, Config{MaxReplyBytes: 1 << 20})
	var mu sync.Mutex
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 || bytes.IndexByte(data, 0) >= 0 {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		var b Batch
		defer b.Close()
		outcome, got := reply(t, in, &b, data, nil)
		d := json.NewDecoder(bytes.NewReader(append(bytes.Clone(data), '}')))
		var raw json.RawMessage
		if d.Decode(&raw) != nil || raw[0] != '{' && raw[0] != '[' {
			return // what is wrong with it is for the transcoder to say
		}
		if outcome != Reply || !bytes.Equal(bytes.TrimLeft(got, " \t\r\n"), raw) {
			t.Errorf("%v %q, want %q", outcome, got, raw)
		}
	})
}

// A reply may be as large as MaxReplyBytes, with a NUL or without, and no larger.
func TestReplyLimit(t *testing.T) {
	const limit = 10_000
	object := func(n int) []byte { return []byte(`{"a":"` + strings.Repeat("x", n-8) + `"}`) }
	for name, text := range map[string]string{"NUL": echoAtEnd, "no NUL": unterminated} {
		in := instantiate(t, text, Config{MaxReplyBytes: limit})
		for n, want := range map[int]Outcome{limit: Reply, limit + 1: ReplyTooLarge, 5 * limit: ReplyTooLarge} {
			var b Batch
			outcome, got := reply(t, in, &b, object(n), nil)
			if outcome != want || outcome == Reply && !bytes.Equal(got, object(n)) {
				t.Errorf("%s, %d bytes: %v, want %v", name, n, outcome, want)
			}
			b.Close()
		}
	}
}

// Filters that load the same content share compiled code, until the last one
// has closed it.
func TestModulesAreShared(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.wat", "b.wat"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(echoAtEnd), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	loaded := make([]*Module, 16)
	for i := range loaded {
		wg.Go(func() {
			m, err := Load(Source{Path: filepath.Join(dir, []string{"a.wat", "b.wat"}[i%2])})
			if err != nil {
				t.Error(err)
			}
			loaded[i] = m
		})
	}
	wg.Wait()
	for _, m := range loaded {
		if m != loaded[0] {
			t.Error("two modules of one content")
		}
	}
	key := loaded[0].key
	for i, m := range loaded {
		if _, ok := modules.byKey[key]; !ok {
			t.Fatalf("closed before its last user, %d", i)
		}
		m.Close()
	}
	if _, ok := modules.byKey[key]; ok {
		t.Error("still there after its last user")
	}
}

// Instances run at once, each in a store of its own, and are replaced meanwhile.
func TestHammerInstances(t *testing.T) {
	emulator.Skip(t, "qemu 7.2 keeps 25 MB for each of 400 guests")
	m := load(t, guests.WAT("trap_when_told"))
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			var b Batch
			defer b.Close()
			for round := range 50 {
				in, err := m.NewInstance(Config{Function: "filter"})
				if err != nil {
					t.Error(err)
					return
				}
				b.Reset()
				for i := range 20 {
					from := len(b.In)
					if i == 10 && (round+g)%2 == 0 {
						b.In = append(b.In, `{"trap":true}`...)
					} else {
						b.In = append(b.In, `{"a":1}`...)
					}
					b.Add(from, 0, 0)
				}
				next, err := in.Run(nil, &b, 0, len(b.Records))
				in.Close()
				if want := map[bool]int{true: 11, false: 20}[(round+g)%2 == 0]; next != want || (err != nil) != (want == 11) {
					t.Errorf("next %d, %v", next, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestInspect(t *testing.T) {
	path := func(name string) string {
		p := filepath.Join(t.TempDir(), "guest.wat")
		if err := os.WriteFile(p, []byte(guests.WAT(name)), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, test := range []struct {
		guest, function    string
		allocator, initial string
		problem            string
	}{
		{"identity", "filter", "malloc and free", "nothing", ""},
		{"identity", "", "malloc and free", "nothing", ""},
		{"identity_noalloc", "filter", "the host grows", "nothing", ""},
		{"assemblyscript_like", "filter", "__new and __pin", "nothing", ""},
		{"needs_initialize", "filter", "malloc", "_initialize", ""},
		{"wrong_signature", "", "", "nothing", "no function can be called"},
		{"wrong_signature", "filter", "", "nothing", "must be"},
		{"unknown_import", "filter", "", "nothing", "env.mystery"},
		{"memory64", "filter", "", "nothing", "64-bit memory"},
		{"no_memory", "filter", "", "nothing", "no memory"},
	} {
		r, err := Inspect(Source{Path: path(test.guest)}, Config{Function: test.function})
		if err != nil {
			t.Errorf("%s: %v", test.guest, err)
			continue
		}
		if !strings.Contains(r.Allocator, test.allocator) || r.Init != test.initial {
			t.Errorf("%s: allocator %q, init %q", test.guest, r.Allocator, r.Init)
		}
		if got := strings.Join(r.Problems, "; "); !strings.Contains(got, test.problem) || (got == "") != (test.problem == "") {
			t.Errorf("%s: problems %q, want %q", test.guest, got, test.problem)
		}
	}
}

// Filters of one module replace their instances at any time, each on its thread.
func TestInstancesAtOnce(t *testing.T) {
	emulator.Skip(t, "qemu 7.2 keeps 25 MB for each of 640 guests")
	const text = `(module
  (import "env" "malloc" (func (param i32) (result i32)))
  (import "env" "snprintf" (func (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1 8)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local.get 4)))`
	for i := range 20 {
		// Another module each time: what is made lazily is made at the first use.
		m := load(t, text+strings.Repeat("\n", i))
		var wg sync.WaitGroup
		start := make(chan struct{})
		for range 8 {
			wg.Go(func() {
				<-start
				for range 4 {
					in, err := m.NewInstance(Config{Function: "filter"})
					if err != nil {
						t.Error(err)
						return
					}
					in.Close()
					_, _ = m.Summary(Config{}), m.Warnings(Config{})
				}
			})
		}
		close(start)
		wg.Wait()
	}
}

// A stack that overflows into data is warned of, one that overflows into nothing is not.
func TestInspectFindsTheStack(t *testing.T) {
	for name, test := range map[string]struct {
		own  string
		want string
	}{
		"behind the data": {`(global (export "__data_end") i32 (i32.const 5000)) (global (export "__heap_base") i32 (i32.const 70544))`, "has 65544 bytes behind its data"},
		"first":           {`(global (export "__data_end") i32 (i32.const 70001)) (global (export "__heap_base") i32 (i32.const 70016))`, ""},
		"one symbol":      {`(global (export "__heap_base") i32 (i32.const 70544))`, ""},
		"a function":      {`(func (export "__data_end")) (global (export "__heap_base") i32 (i32.const 70544))`, ""},
		"64 bits":         {`(global (export "__data_end") i64 (i64.const 5000)) (global (export "__heap_base") i32 (i32.const 70544))`, ""},
	} {
		path := filepath.Join(t.TempDir(), "guest.wat")
		if err := os.WriteFile(path, []byte(inside("2", test.own, "")), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Inspect(Source{Path: path}, Config{Function: "filter"})
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(r.Warnings, "; ")
		if strings.Contains(got, "--stack-first") != (test.want != "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// Objects without a NUL that may go on beyond what is looked at are too large, and not cut.
func TestSeveralObjectsWithoutNUL(t *testing.T) {
	in := instantiate(t, strings.Replace(unterminated, "0x7d", "0x7b", 1), Config{MaxReplyBytes: 1 << 20})
	for text, want := range map[string]Outcome{`{"a":1}`: ReplyTooLarge, `{"a":1}x`: Reply, `[1]`: ReplyTooLarge, "{\"a\":1}{\x00": Reply} {
		var b Batch
		if outcome, _ := reply(t, in, &b, []byte(text), nil); outcome != want {
			t.Errorf("%q: %v, want %v", text, outcome, want)
		}
		b.Close()
	}
}
