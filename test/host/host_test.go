package host

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/emulator"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

func TestRegistration(t *testing.T) {
	for _, object := range []struct{ file, name string }{
		{filterWasmtime, "wasmtime"},
		{filterWasm, "wasm"},
	} {
		t.Run(object.name, func(t *testing.T) {
			eachFamily(t, func(t *testing.T, f family) {
				p := start(t, f)
				got := p.load(object.file).fields
				if name := string(unhex(got["name"])); name != object.name {
					t.Errorf("name = %q, want %q", name, object.name)
				}
				if len(unhex(got["description"])) == 0 {
					t.Error("no description")
				}
				for _, callback := range []string{"init", "filter", "exit"} {
					if got[callback] != "1" {
						t.Errorf("cb_%s is not set", callback)
					}
				}
				if got["flags"] != "0" {
					t.Errorf("flags = %s, want 0", got["flags"])
				}
				if f.eventType && got["event_type"] != "1" {
					t.Errorf("event_type = %s, want 1 (logs)", got["event_type"])
				}
				if f.notification && got["notification"] != "0" {
					t.Error("cb_notification is set")
				}
				i := p.ready(guest(t, "identity"), function, nil)
				chunk := chunkOf(2)
				same(t, chunk, i.filter("app", chunk).over(chunk))
				i.exit()
			})
		})
	}
}

// The host's own walk over the config map, with its own stride, finds what
// internal/options says.
func TestConfigMapIsTheOptionTable(t *testing.T) {
	type entry struct{ Name, Type, Default, Flags, Help string }
	// Types of include/fluent-bit/flb_config_map.h (v1.8.15, v5.1.1).
	types := map[options.Type]string{
		options.String: "0", options.Int: "2", options.Bool: "3", options.Size: "5", options.Time: "6", options.List: "30",
	}
	var want []entry
	for _, o := range options.Table {
		e := entry{o.Name, types[o.Type], o.Default, "0", o.Help}
		if o.Prefix != "" {
			e.Type = "1"
		}
		if o.Multiple {
			e.Flags = "1"
		}
		if e.Help == "" || e.Type == "" {
			t.Errorf("option %s: type %v, description %q", o.Name, o.Type, o.Help)
		}
		want = append(want, e)
	}
	eachFamily(t, func(t *testing.T, f family) {
		var got []entry
		for _, d := range loaded(t, f).do("map").details {
			if d[5] != "0" {
				t.Errorf("%s: set_property = %s: the host would write into the plugin's context", unhex(d[2]), d[5])
			}
			if string(d[3]) == "x" {
				t.Errorf("%s: the default is an empty string, want none", unhex(d[2]))
			}
			got = append(got, entry{string(unhex(d[2])), d[1], string(unhex(d[3])), d[4], string(unhex(d[7]))})
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("config map (-internal/options +host):\n%s", diff)
		}
	})
}

// What a guest returns as it is comes through as it is, whether the reply is
// compared or read, and in both formats of records.
func TestIdentity(t *testing.T) {
	eachFamily(t, func(t *testing.T, f family) {
		p := loaded(t, f)
		for _, c := range []struct {
			guest, format string
		}{{"identity", "json"}, {"identity", "msgpack"}, {"spaced", "json"}} {
			t.Run(c.guest+"_"+c.format, func(t *testing.T) {
				i := p.ready(guest(t, c.guest), function, settings{"event_format": c.format})
				for _, n := range []int{1, 2, 75, 1000} {
					chunk := chunkOf(n)
					same(t, chunk, i.filter("app", chunk).over(chunk))
				}
				i.exit()
			})
		}
	})
}

// Headers of events come in any width and form; they come out as they were.
func TestEventHeaders(t *testing.T) {
	record := body(1)
	meta := map[string]any{"m": 1}
	array := func(header []byte, parts ...[]byte) []byte {
		return append(bytes.Clone(header), bytes.Join(parts, nil)...)
	}
	array16, array32 := []byte{0xdc, 0, 2}, []byte{0xdd, 0, 0, 0, 2}
	ts := oracle.Timestamp(1700000000, 5)
	// Ext type 0 of 8 bytes also has a long form.
	ext8 := append([]byte{0xc7, 8}, oracle.Pack(ts)[1:]...)
	for _, c := range []struct {
		name  string
		chunk []byte
	}{
		{"legacy_ext", oracle.Pack(oracle.Legacy(ts, record))},
		{"legacy_integer", oracle.Pack(oracle.Legacy(1700000000, record))},
		{"legacy_zero", oracle.Pack(oracle.Legacy(0, record))},
		{"legacy_float", oracle.Pack(oracle.Legacy(1700000000.25, record))},
		{"legacy_array32", array(array32, oracle.Pack(ts, record))},
		{"current", oracle.Pack(oracle.Current(ts, meta, record))},
		{"current_integer", oracle.Pack(oracle.Current(uint64(1)<<32, meta, record))},
		{"current_array16", array(array16, array(array16, oracle.Pack(ts, meta)), oracle.Pack(record))},
		{"current_array32", array(array32, array(array32, oracle.Pack(ts, meta)), oracle.Pack(record))},
		{"current_ext8", array([]byte{0x92}, array([]byte{0x92}, ext8, oracle.Pack(meta)), oracle.Pack(record))},
		{"current_map32", array(array32, array(array32, oracle.Pack(ts), []byte{0xdf, 0, 0, 0, 0}), oracle.Pack(record))},
		{"mixed", append(oracle.Pack(oracle.Legacy(ts, record)), oracle.Pack(oracle.Current(ts, meta, record))...)},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachFamily(t, func(t *testing.T, f family) {
				p := loaded(t, f)
				i := p.ready(guest(t, "spaced"), function, nil)
				p.takeLogs()
				r := i.filter("app", c.chunk)
				same(t, c.chunk, r.over(c.chunk))
				for _, l := range p.takeLogs() {
					if l.level <= levelWarn {
						t.Errorf("log: %s", l.text)
					}
				}
			})
		})
	}
}

func TestModify(t *testing.T) {
	eachFamily(t, func(t *testing.T, f family) {
		p := loaded(t, f)
		i := p.ready(guest(t, "tag"), function, nil)
		var chunk, want []byte
		for n := range 3 {
			ts := oracle.Timestamp(1700000000, uint32(n))
			meta := map[string]any{"n": n}
			chunk = append(chunk, oracle.Pack(oracle.Current(ts, meta, body(n)))...)
			want = append(want, oracle.Pack(oracle.Current(ts, meta, map[string]any{"tag": "app.web"}))...)
		}
		r := i.filter("app.web", chunk)
		if r.verdict != modified {
			t.Errorf("verdict = %d, want modified", r.verdict)
		}
		same(t, want, r.over(chunk))
	})
}

// Tag, time and record reach the guest.
func TestArguments(t *testing.T) {
	eachFamily(t, func(t *testing.T, f family) {
		i := loaded(t, f).ready(guest(t, "wrap"), function, nil)
		ts := oracle.Timestamp(3000000000, 7)
		chunk := oracle.Pack(oracle.Current(ts, map[string]any{}, body(1)))
		// Key by key, since the order of keys counts.
		record := append([]byte{0x83}, oracle.Pack("tag", "app.web", "sec", 3000000000, "record", body(1))...)
		want := slices.Concat([]byte{0x92}, oracle.Pack([]any{ts, map[string]any{}}), record)
		same(t, want, i.filter("app.web", chunk).over(chunk))
	})
}

// The host is given no buffer for a chunk that has become empty: it would leak.
func TestDropAll(t *testing.T) {
	eachFamily(t, func(t *testing.T, f family) {
		p := loaded(t, f)
		i := p.ready(guest(t, "drop"), function, nil)
		r := i.filter("app", chunkOf(10))
		if r.verdict != modified || r.buffer || len(r.out) != 0 {
			t.Errorf("verdict = %d, %d bytes, buffer: %v; want modified, 0 bytes and no buffer",
				r.verdict, len(r.out), r.buffer)
		}
	})
}

// Group markers of OTLP logs stay in place, whatever happens to the records
// between them.
func TestGroupMarkers(t *testing.T) {
	start := func(n int) []byte {
		return oracle.Pack(oracle.Current(oracle.Timestamp(1<<32-1, 0), map[string]any{"schema": "otlp", "resource_id": n},
			map[string]any{"resource": map[string]any{"attributes": map[string]any{"n": n}}}))
	}
	end := oracle.Pack(oracle.Current(oracle.Timestamp(1<<32-2, 0), map[string]any{}, map[string]any{}))
	record := oracle.Pack(oracle.Current(oracle.Timestamp(1700000000, 0), map[string]any{}, body(0)))
	tagged := oracle.Pack(oracle.Current(oracle.Timestamp(1700000000, 0), map[string]any{}, map[string]any{"tag": "otlp"}))
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	chunk := join(start(1), record, record, end, start(2), record, end)

	for _, c := range []struct {
		guest string
		want  []byte
	}{
		{"identity", chunk},
		{"spaced", chunk},
		{"unreachable", chunk},
		{"tag", join(start(1), tagged, tagged, end, start(2), tagged, end)},
		{"drop", join(start(1), end, start(2), end)},
	} {
		t.Run(c.guest, func(t *testing.T) {
			eachFamily(t, func(t *testing.T, f family) {
				i := loaded(t, f).ready(guest(t, c.guest), function, nil)
				same(t, c.want, i.filter("otlp", chunk).over(chunk))
			})
		})
	}
}

// A record at which the guest traps goes on as it came, and the log says so.
func TestTrapLosesNothing(t *testing.T) {
	eachFamily(t, func(t *testing.T, f family) {
		p := loaded(t, f)
		i := p.ready(guest(t, "trap_every_third"), function, settings{"alias": "trapping"})
		chunk := chunkOf(30)
		same(t, chunk, i.filter("app", chunk).over(chunk))
		p.waitLog(levelError, "trapping")
	})
}

// Traps that the process sees as signals stay traps, also after the host has
// taken the signals for itself, as it does at each SIGHUP and SIGCONT.
func TestTrapsSurviveTheHostsSignalHandlers(t *testing.T) {
	for _, name := range []string{"oob_store", "div_by_zero", "stack_overflow", "unreachable"} {
		t.Run(name, func(t *testing.T) {
			eachFamily(t, func(t *testing.T, f family) {
				p := start(t, f)
				p.do("signals")
				p.load(filterWasmtime)
				i := p.ready(guest(t, name), function, settings{"breaker_failures": "0"})
				chunk := chunkOf(3)
				for _, s := range []syscall.Signal{0, syscall.SIGHUP, syscall.SIGCONT, syscall.SIGHUP} {
					p.do("raise", strconv.Itoa(int(s)))
					for range 3 {
						same(t, chunk, i.filter("app", chunk).over(chunk))
						same(t, chunk, i.coroutine(24*1024, "app", chunk).over(chunk))
					}
				}
				p.waitLog(levelError, "wasmtime.0")
			})
		})
	}
}

// No handler of the host interrupts another one. Those of Fluent Bit call localtime, which
// would wait for itself.
func TestHandlersWaitForEachOther(t *testing.T) {
	p := start(t, newest)
	p.do("signals")
	if n := p.do("raise", strconv.Itoa(int(syscall.SIGTERM))).num("handlers"); n < 2 {
		t.Fatalf("without the plugin, %d handlers at a time, want nested ones", n)
	}
	p.load(filterWasmtime)
	i := p.ready(guest(t, "identity"), function, settings{})
	chunk := chunkOf(3)
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGCONT, syscall.SIGTERM} {
		if n := p.do("raise", strconv.Itoa(int(s))).num("handlers"); n != 1 {
			t.Errorf("signal %v: %d handlers at a time, want 1", s, n)
		}
		same(t, chunk, i.filter("app", chunk).over(chunk))
	}
}

// SIGHUP may come at any time, also while guests trap.
func TestSignalsDuringTraps(t *testing.T) {
	p := start(t, newest)
	p.do("signals")
	p.load(filterWasmtime)
	i := p.ready(guest(t, "oob_store"), function, settings{"breaker_failures": "0"})
	records, chunks := 100, 50
	if emulator.Used() {
		records, chunks = 4, 10 // qemu 7.2 keeps 25 MB for each guest that is given up
	}
	chunk := chunkOf(records)

	stop := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				syscall.Kill(p.cmd.Process.Pid, syscall.SIGHUP)
			}
		}
	}()
	for range chunks {
		if r := i.filter("app", chunk); !bytes.Equal(r.over(chunk), chunk) {
			t.Fatal("the chunk is not what it was")
		}
	}
	close(stop)
	<-stopped
}

// Before a hot reload the new configuration's filters are asked whether they would start, while
// the old ones run. What a start refuses is refused, and nothing stays behind.
func TestPreRun(t *testing.T) {
	eachFamily(t, func(t *testing.T, f family) {
		if !f.preRun {
			t.Skip("these hosts don't ask")
		}
		p := loaded(t, f)
		running := p.ready(guest(t, "call_counter"), function, settings{})
		chunk := chunkOf(1)
		calls := func() string { return string(running.filter("app", chunk).over(chunk)) }
		first := calls()
		identity := guest(t, "identity")
		text := func(text string) string {
			path := filepath.Join(t.TempDir(), "guest.wat")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}
		for _, c := range []struct {
			name string
			s    settings
			log  []string // parts of the error; nil if it would start
		}{
			{"good", settings{"wasm_path": identity, "function_name": function}, nil},
			{"no option", settings{"wasm_path": identity}, []string{"function_name", "not set"}},
			{"bad option", settings{"wasm_path": identity, "function_name": function, "timeout": "abc"}, []string{"timeout", "abc"}},
			{"no file", settings{"wasm_path": "/nowhere/x.wasm", "function_name": function}, []string{"/nowhere/x.wasm"}},
			{"garbage", settings{"wasm_path": text("garbage"), "function_name": function}, []string{"guest.wat"}},
			{"no function", settings{"wasm_path": identity, "function_name": "absent"}, []string{"absent"}},
			{"unknown import", settings{"wasm_path": guest(t, "unknown_import"), "function_name": function}, []string{"imports"}},
			{"start function that traps", settings{"wasm_path": guest(t, "start_traps"), "function_name": function, "init_function": "_start"}, []string{"_start failed"}},
		} {
			t.Run(c.name, func(t *testing.T) {
				p.takeLogs()
				i := p.instance(c.s)
				ret := i.preRun()
				if c.log == nil && ret != 0 || c.log != nil && ret == 0 {
					t.Errorf("%d; log: %+v", ret, p.takeLogs())
				}
				if c.log != nil {
					p.waitLog(levelError, c.log...)
				}
				i.exit()
			})
		}
		if again := calls(); again == first {
			t.Error("the filter that runs has begun anew")
		}
		// What is asked about can start, and be asked about more than once.
		i := p.instance(settings{"wasm_path": identity, "function_name": function})
		for range 3 {
			if ret := i.preRun(); ret != 0 {
				t.Errorf("%d; log: %+v", ret, p.takeLogs())
			}
		}
		if ret := i.init(); ret != 0 {
			t.Errorf("init = %d; log: %+v", ret, p.takeLogs())
		}
		same(t, chunk, i.filter("app", chunk).over(chunk))
	})
}

func TestOptions(t *testing.T) {
	eachFamily(t, func(t *testing.T, f family) {
		p := loaded(t, f)
		identity := guest(t, "identity")
		valid := settings{"wasm_path": identity, "function_name": function}
		for _, c := range []struct {
			name   string
			change settings // "-" takes an option away
			log    []string // parts of the error; nil if it is valid

			warning []string
		}{
			{name: "defaults"},
			{name: "upper case names", change: settings{"wasm_path": "-", "WASM_PATH": identity, "Event_Format": "msgpack"}},
			{name: "sizes", change: settings{"wasm_heap_size": "64k", "wasm_stack_size": "1M"}},
			{name: "paths", change: settings{"accessible_paths": t.TempDir() + ", " + t.TempDir()}},
			{name: "unknown", change: settings{"wasm_pth": "x"}, log: []string{"wasm_pth"}},
			{name: "no wasm_path", change: settings{"wasm_path": "-"}, log: []string{"wasm_path", "not set"}},
			{name: "no function_name", change: settings{"function_name": "-"}, log: []string{"function_name", "not set"}},
			{name: "empty wasm_path", change: settings{"wasm_path": ""}, log: []string{"wasm_path"}},
			{name: "no such file", change: settings{"wasm_path": "/nowhere/x.wasm"}, log: []string{"wasm_path", "/nowhere/x.wasm"}},
			{name: "no such function", change: settings{"function_name": "absent"}, log: []string{"function_name", "absent"}},
			{name: "event_format", change: settings{"event_format": "yaml"}, log: []string{"event_format", "yaml", "json", "msgpack"}},
			{name: "limit", change: settings{"memory_limit": "-1"}, log: []string{"memory_limit", "-1", "allowed"}},
			{name: "heap", change: settings{"wasm_heap_size": "-1"}, warning: []string{"wasm_heap_size", "-1", "16000000"}},
			{name: "stack words", change: settings{"wasm_stack_size": "much"}, warning: []string{"wasm_stack_size", "much", "4000000"}},
			{name: "stack too large", change: settings{"wasm_stack_size": "1G"}, warning: []string{"wasm_stack_size", "1G", "4000000"}},
			{name: "no directory", change: settings{"accessible_paths": "/nowhere"}, log: []string{"accessible_paths", "/nowhere"}},
			{name: "percent", change: settings{"event_format": "%s%n%s"}, log: []string{"event_format", "%s%n%s"}},
		} {
			t.Run(c.name, func(t *testing.T) {
				s := settings{"alias": "my_filter"}
				for key, value := range valid {
					s[key] = value
				}
				for key, value := range c.change {
					s[key] = value
					if value == "-" {
						delete(s, key)
					}
				}
				p.takeLogs()
				i := p.instance(s)
				ret := i.init()
				if c.log == nil {
					if ret != 0 {
						t.Errorf("init = %d, want 0; log: %+v", ret, p.takeLogs())
					}
					if c.warning != nil {
						p.waitLog(levelWarn, append(c.warning, "my_filter")...)
					}
					i.exit()
					return
				}
				if ret != -1 {
					t.Errorf("init = %d, want -1", ret)
				}
				line := p.waitLog(levelError, c.log...)
				if c.name != "unknown" && !strings.Contains(line, "my_filter") {
					t.Errorf("the error does not name the filter: %s", line)
				}
				i.exit()
			})
		}
	})
}

// An option that may be set several times counts each time, in order. Fluent Bit makes several of
// a list in YAML.
func TestRepeatedOption(t *testing.T) {
	eachFamily(t, func(t *testing.T, f family) {
		p := loaded(t, f)
		for value, want := range map[string]string{
			several("A=1"):                      "A=1 ",
			several("A=1", "B=x,y", "C=1,D=2"):  "A=1 B=x,y C=1 D=2 ",
			several("B=2", "A=1", "", "B=3,,,"): "B=2 A=1 B=3 ",
		} {
			i := p.ready(guest(t, "environment"), function, settings{"env": value, "ALIAS": "x"})
			events, err := oracle.Unpack(i.filter("app", chunkOf(1)).out)
			if err != nil || len(events) != 1 {
				t.Fatal(events, err)
			}
			if diff := cmp.Diff(map[string]any{"env": want}, events[0].Body); diff != "" {
				t.Errorf("%q: %s", value, diff)
			}
			i.exit()
		}
		// The others may not.
		i := p.instance(settings{"wasm_path": guest(t, "identity"), "function_name": function, "timeout": several("1s", "2s")})
		if ret := i.init(); ret == 0 {
			t.Error("timeout may be set twice")
		}
	})
}

// config.KEY reaches the module; one that refuses its configuration does not start.
func TestConfigOfModule(t *testing.T) {
	eachFamily(t, func(t *testing.T, f family) {
		p := loaded(t, f)
		configured := guest(t, "configured")
		many := settings{"config.greeting": "hello, world"}
		for i := range 5000 {
			many[fmt.Sprintf("config.%d", i)] = "x"
		}
		for _, s := range []settings{
			{"config.greeting": "hello, world", "config.other": "x"},
			{"Config.Greeting": "hello, world"},
			{"config_file": file(t, `{"greeting":"hello, world"}`)},
			{"config_file": file(t, `{"greeting":"hi"}`), "config.greeting": "hello, world"},
			many,
		} {
			i := p.ready(configured, function, s)
			events, err := oracle.Unpack(i.filter("app", chunkOf(1)).out)
			if err != nil || len(events) != 1 {
				t.Fatal(events, err)
			}
			if diff := cmp.Diff(map[string]any{"config": "hello, world"}, events[0].Body); diff != "" {
				t.Errorf("%.200v: %s", s, diff)
			}
			i.exit()
		}
		i := p.instance(settings{"wasm_path": configured, "function_name": function, "config.greetings": "x"})
		if ret := i.init(); ret != -1 {
			t.Errorf("init = %d", ret)
		}
		p.waitLog(levelError, "it refuses its configuration", "greeting: it must be set")
		i.exit()
	})
}

// log_enabled says what the instance's log_level is, also if that is off.
func TestLogEnabled(t *testing.T) {
	module := fileOf(t, "enabled.wat", `(module (import "flb_v1" "log_enabled" (func $enabled (param i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 16) "{\"enabled\":0}")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (i32.store8 (i32.const 27) (i32.add (i32.const 48) (i32.add
      (i32.add (call $enabled (i32.const 1)) (call $enabled (i32.const 2)))
      (i32.add (call $enabled (i32.const 3)) (i32.add (call $enabled (i32.const 4)) (call $enabled (i32.const 5)))))))
    (i32.const 16)))`)
	eachFamily(t, func(t *testing.T, f family) {
		p := loaded(t, f)
		for level := range 6 {
			i := p.ready(module, "filter", settings{"log_level": strconv.Itoa(level)})
			events, err := oracle.Unpack(i.filter("app", chunkOf(1)).out)
			if err != nil || len(events) != 1 || fmt.Sprint(events[0].Body) != fmt.Sprintf("map[enabled:%d]", level) {
				t.Errorf("log_level %d: %v, %v", level, events, err)
			}
			i.exit()
		}
	})
}

// A chunk that can't be read stays as it is, and is reported once.
func TestCorruptChunk(t *testing.T) {
	good := chunkOf(3)
	for _, c := range []struct {
		name  string
		chunk []byte
	}{
		{"cut", good[:len(good)-5]},
		{"rubbish", []byte("\xc1\xc1\xc1\xc1")},
		{"no array", oracle.Pack("text")},
		{"no map", oracle.Pack(oracle.Current(oracle.Timestamp(1, 0), map[string]any{}, "text"))},
		{"three parts", oracle.Pack([]any{oracle.Timestamp(1, 0), map[string]any{}, map[string]any{}})},
		{"long length", []byte("\x92\x92\xd7\x00\x00\x00\x00\x01\x00\x00\x00\x00\x80\xdf\xff\xff\xff\xff")},
		{"tail", append(bytes.Clone(good), 0x92)},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachFamily(t, func(t *testing.T, f family) {
				p := loaded(t, f)
				i := p.ready(guest(t, "tag"), function, nil)
				p.takeLogs()
				r := i.filter("app", c.chunk)
				if r.verdict != notouch {
					t.Errorf("verdict = %d, want notouch", r.verdict)
				}
				// The instance still works, and its answer comes behind the log.
				if r := i.filter("app", good); r.verdict != modified {
					t.Errorf("the chunk behind it: verdict = %d, want modified", r.verdict)
				}
				var errors []string
				for _, l := range p.takeLogs() {
					if l.level == levelError {
						errors = append(errors, l.text)
					}
				}
				if len(errors) != 1 {
					t.Errorf("%d errors in the log, want 1: %q", len(errors), errors)
				}
			})
		})
	}
}

func TestEmptyChunk(t *testing.T) {
	i := loaded(t, newest).ready(guest(t, "tag"), function, nil)
	if r := i.filter("app", nil); r.verdict != notouch {
		t.Errorf("verdict = %d, want notouch", r.verdict)
	}
}

// Replies that are no record leave the record as it was.
func TestBadReply(t *testing.T) {
	for _, name := range []string{"bad_json", "not_a_map"} {
		t.Run(name, func(t *testing.T) {
			p := loaded(t, newest)
			i := p.ready(guest(t, name), function, nil)
			chunk := chunkOf(5)
			same(t, chunk, i.filter("app", chunk).over(chunk))
			p.waitLog(levelError, "wasmtime.0")
		})
	}
}

func TestInstancesAreApart(t *testing.T) {
	eachFamily(t, func(t *testing.T, f family) {
		p := loaded(t, f)
		identity := p.ready(guest(t, "identity"), function, nil)
		tag := p.ready(guest(t, "tag"), function, settings{"alias": "second"})
		drop := p.ready(guest(t, "drop"), function, settings{"event_format": "msgpack"})
		chunk := oracle.Pack(oracle.Current(oracle.Timestamp(1, 2), map[string]any{}, body(1)))
		tagged := oracle.Pack(oracle.Current(oracle.Timestamp(1, 2), map[string]any{}, map[string]any{"tag": "t"}))
		for range 3 {
			same(t, chunk, identity.filter("t", chunk).over(chunk))
			same(t, tagged, tag.filter("t", chunk).over(chunk))
			same(t, nil, drop.filter("t", chunk).over(chunk))
		}
		// The others go on when one ends.
		tag.exit()
		same(t, chunk, identity.filter("t", chunk).over(chunk))
		same(t, nil, drop.filter("t", chunk).over(chunk))
	})
}

// Go preempts by SIGURG, which may reach a thread of the plugin as it ends.
func TestInstancesEndAmongSignals(t *testing.T) {
	p := loaded(t, newest)
	pid := p.cmd.Process.Pid
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
			for _, task := range tasks {
				select {
				case <-stop:
					return
				default:
				}
				tid, _ := strconv.Atoi(task.Name())
				for range 20 {
					syscall.Syscall(syscall.SYS_TGKILL, uintptr(pid), uintptr(tid), uintptr(syscall.SIGURG))
				}
			}
		}
	}()
	chunk := chunkOf(3)
	for range 15 { // without flbwt_thread_leave, two of three runs failed
		i := p.ready(guest(t, "identity"), function, settings{"workers": "3"})
		same(t, chunk, i.coroutine(24*1024, "app", chunk).over(chunk))
		i.exit()
	}
	close(stop)
	<-stopped
}

// A guest is ended on whatever stack it runs, also where the thread blocks signals.
func TestTimeoutOnACoroutine(t *testing.T) {
	p := loaded(t, newest)
	loop := oracle.Pack(oracle.Current(oracle.Timestamp(1, 2), map[string]any{}, map[string]any{"loop": true}))
	chunk := slices.Concat(loop, loop)
	options := settings{"timeout": "30ms", "breaker_failures": "0"}
	i := p.ready(guest(t, "infinite_loop"), function, options)
	same(t, chunk, i.coroutine(24*1024, "app", chunk).over(chunk))
	i.exit()
	p.waitLog(levelWarn, "2 records", "2: ")

	// On other threads than the first, whose stack lies above all others. Of three, the
	// last calls from a coroutine.
	var jobs []job
	for range 3 {
		jobs = append(jobs, job{p.ready(guest(t, "infinite_loop"), function, options), "app", chunk})
	}
	for _, r := range p.storm(2, jobs) {
		same(t, chunk, r.over(chunk))
	}
	for _, j := range jobs {
		j.instance.exit()
		p.waitLog(levelWarn, "4 records", "4: ")
	}
}

// Threads and coroutines have the same instance trap: what one of them has begun, no
// other may go on with.
func TestThreadsTrap(t *testing.T) {
	p := loaded(t, newest)
	i := p.ready(guest(t, "trap_every_third"), function, settings{"breaker_failures": "0"})
	var jobs []job
	for n := range 9 {
		jobs = append(jobs, job{i, "app", chunkOf(n + 1)})
	}
	rounds := 50
	if emulator.Used() {
		rounds = 4 // qemu 7.2 keeps 25 MB for each guest that is given up
	}
	for n, r := range p.storm(rounds, jobs) {
		if !r.stable {
			t.Errorf("thread %d: the rounds differ", n)
		}
		same(t, jobs[n].chunk, r.over(jobs[n].chunk))
	}
	i.exit()
	p.waitLog(levelWarn, fmt.Sprintf("%d records: %d returned, 0 dropped by the guest, %d failed", rounds*45, rounds*30, rounds*15))
}

// Host threads call one instance at once (a filter behind several threaded
// inputs), and several.
func TestThreads(t *testing.T) {
	const threads = 16
	rounds := 100
	if testing.Short() {
		rounds = 10
	}
	eachFamily(t, func(t *testing.T, f family) {
		for _, many := range []bool{false, true} {
			t.Run(fmt.Sprintf("many_instances_%v", many), func(t *testing.T) {
				p := loaded(t, f)
				first := p.ready(guest(t, "tag"), function, nil)
				second := first
				if many {
					second = p.ready(guest(t, "spaced"), function, nil)
				}
				var jobs []job
				var want [][]byte
				for n := range threads {
					tag := fmt.Sprintf("thread.%d", n)
					j := job{first, tag, chunkOf(n + 1)}
					w := []byte(nil)
					if many && n%2 == 1 {
						j.instance, w = second, j.chunk
					} else {
						w = eachBody(t, j.chunk, map[string]any{"tag": tag})
					}
					jobs, want = append(jobs, j), append(want, w)
				}
				for n, r := range p.storm(rounds, jobs) {
					if !r.stable {
						t.Errorf("thread %d: the rounds differ", n)
					}
					same(t, want[n], r.over(jobs[n].chunk))
				}
			})
		}
	})
}

// Filters run on coroutines' stacks of 24 KiB (64 KiB from Fluent Bit 5.1.0),
// without a guard page.
func TestCoroutineStack(t *testing.T) {
	for _, name := range []string{"identity", "spaced", "deep", "unreachable", "stack_overflow", "wasi_print"} {
		t.Run(name, func(t *testing.T) {
			eachFamily(t, func(t *testing.T, f family) {
				p := loaded(t, f)
				i := p.ready(guest(t, name), function, nil)
				chunk := chunkOf(20)
				for range 5 {
					same(t, chunk, i.coroutine(24*1024, "app", chunk).over(chunk))
				}
				// On the thread's own stack between coroutines.
				same(t, chunk, i.filter("app", chunk).over(chunk))
				same(t, chunk, i.coroutine(64*1024, "app", chunk).over(chunk))
			})
		})
	}
}

// A guest may use as much stack as it is given, on every kind of stack that it may run
// on, and what uses more traps.
func TestLargeStack(t *testing.T) {
	p := loaded(t, newest)
	chunk := chunkOf(1)
	start := func(times int, stack string) instance {
		return p.ready(guestFile(t, deep(times)), function, settings{"wasm_stack_size": stack, "breaker_failures": "0"})
	}
	returns := func(i instance) bool {
		i.filter("app", chunk)
		i.exit()
		return strings.Contains(p.waitLog(0, "1 records: "), "1 returned")
	}
	// How deep it gets in 3 MB, within a few percent.
	fits := 1000
	for returns(start(fits*2, "3M")) {
		fits *= 2
	}
	for step := fits / 2; step > fits/64; step /= 2 {
		if returns(start(fits+step, "3M")) {
			fits += step
		}
	}
	for _, test := range []struct {
		times    int
		returned bool
	}{{fits * 5 / 4, true}, {1 << 30, false}} {
		i := start(test.times, "4M")
		for range 3 {
			same(t, chunk, i.coroutine(24*1024, "app", chunk).over(chunk))
			same(t, chunk, i.filter("app", chunk).over(chunk))
		}
		for _, r := range p.storm(2, []job{{i, "app", chunk}, {i, "app", chunk}, {i, "app", chunk}}) {
			same(t, chunk, r.over(chunk))
		}
		i.exit()
		want := "12 records: 12 returned, 0 dropped by the guest, 0 failed"
		if !test.returned {
			want = "12 records: 0 returned, 0 dropped by the guest, 12 failed (12: the guest trapped)"
		}
		p.waitLog(0, want)
	}
	// Several instances, each on a thread of its own.
	i := p.ready(guestFile(t, deep(fits*5/4)), function, settings{"wasm_stack_size": "4M", "workers": "3"})
	i.filter("app", chunkOf(9))
	i.exit()
	p.waitLog(0, "9 records: 9 returned")
}

const noFork = "qemu 7.2 can't fork a process of several threads"

// With Daemon On the host forks after it has loaded the plugin, and one thread goes on. The child
// filters, on a stack and on a coroutine, with traps, timeouts and helpers.
func TestForkAfterLoad(t *testing.T) {
	emulator.Skip(t, noFork)
	eachFamily(t, func(t *testing.T, f family) {
		p := loaded(t, f)
		p.do("fork")
		chunk := chunkOf(9)
		wrap := p.instance(settings{"wasm_path": guest(t, "wrap"), "function_name": function, "workers": "3"})
		if f.preRun && wrap.preRun() != 0 {
			t.Error("the check failed")
		}
		if ret := wrap.init(); ret != 0 {
			t.Fatalf("init = %d", ret)
		}
		if a, b := wrap.filter("app", chunk), wrap.coroutine(24*1024, "app", chunk); a.verdict != modified || b.verdict != modified || !bytes.Equal(a.out, b.out) {
			t.Errorf("verdicts = %d and %d, want modified; the same: %v", a.verdict, b.verdict, bytes.Equal(a.out, b.out))
		}
		wrap.exit()
		loop := oracle.Pack(oracle.Current(oracle.Timestamp(1, 2), map[string]any{}, map[string]any{"loop": true}))
		for _, c := range []struct{ guest, why string }{{"oob_store", "the guest trapped"}, {"infinite_loop", "the guest took longer than timeout"}} {
			i := p.ready(guest(t, c.guest), function, settings{"timeout": "10ms", "breaker_failures": "0"})
			same(t, loop, i.filter("app", loop).over(loop))
			i.exit()
			p.waitLog(levelWarn, "1 records: 0 returned", c.why)
		}
	})
}

// A fork after an instance has started leaves Go's threads behind: the child must refuse, and not
// hang.
func TestForkAfterStart(t *testing.T) {
	emulator.Skip(t, noFork)
	eachFamily(t, func(t *testing.T, f family) {
		p := loaded(t, f)
		p.ready(guest(t, "identity"), function, nil).exit()
		p.do("fork")
		i := p.instance(settings{"wasm_path": guest(t, "identity"), "function_name": function})
		if ret := i.init(); ret != -1 {
			t.Errorf("init = %d, want -1", ret)
		}
		p.waitLog(levelError, "forked")
		i.exit()
	})
}

// As long as no instance starts, nothing of Go runs: a host that loads the plugin and does not use
// it has no thread more.
func TestNothingRunsBeforeAnInstance(t *testing.T) {
	emulator.Skip(t, "qemu has threads of its own")
	p := start(t, newest)
	threads := func() int {
		all, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	p.do("memory")
	before := threads()
	p.load(filterWasmtime)
	i := p.instance(settings{"wasm_path": guest(t, "identity"), "function_name": function})
	if after := threads(); after != before {
		t.Errorf("%d threads, %d before the plugin was loaded", after, before)
	}
	i.init()
	if after := threads(); after <= before {
		t.Errorf("%d threads, with an instance", after)
	}
	i.exit()
}

// A fork before the plugin is loaded is none of its business.
func TestForkBeforeLoad(t *testing.T) {
	p := start(t, newest)
	p.do("fork")
	p.load(filterWasmtime)
	i := p.ready(guest(t, "tag"), function, nil)
	chunk := chunkOf(1)
	if r := i.filter("app", chunk); r.verdict != modified {
		t.Errorf("verdict = %d, want modified", r.verdict)
	}
}

// Hot reload ends all instances, closes the object and loads it again.
func TestReload(t *testing.T) {
	eachFamily(t, func(t *testing.T, f family) {
		p := start(t, f)
		chunk := chunkOf(3)
		path := guest(t, "spaced")
		for range 3 {
			p.load(filterWasmtime)
			i := p.ready(path, function, nil)
			j := p.ready(guest(t, "drop"), function, nil)
			same(t, chunk, i.filter("app", chunk).over(chunk))
			same(t, nil, j.filter("app", chunk).over(chunk))
			i.exit()
			j.exit()
			p.do("unload")
		}
	})
}

// An instance whose init failed may be ended, and does not harm the next.
func TestFailedInit(t *testing.T) {
	eachFamily(t, func(t *testing.T, f family) {
		p := loaded(t, f)
		i := p.instance(settings{"wasm_path": "/nowhere.wasm", "function_name": function})
		if ret := i.init(); ret != -1 {
			t.Errorf("init = %d, want -1", ret)
		}
		i.exit()
		j := p.ready(guest(t, "tag"), function, nil)
		if r := j.filter("app", chunkOf(1)); r.verdict != modified {
			t.Errorf("verdict = %d, want modified", r.verdict)
		}
	})
}

// A host whose layout the plugin can't know is told so. Nothing crashes.
func TestUnknownHost(t *testing.T) {
	p := start(t, unknown)
	r, err := p.try("load", enhex(objectDir+"/"+filterWasmtime))
	if err == nil && r.fields["name"] != "-" {
		i := p.instance(settings{"wasm_path": guest(t, "identity"), "function_name": function})
		if ret := i.init(); ret == 0 {
			t.Error("init = 0, want an error")
		}
		i.exit()
	}
	p.do("quit")
	<-p.ended
	if got := p.stderr.String(); !strings.Contains(got, "wasmtime") || !strings.Contains(got, "Fluent Bit") {
		t.Errorf("stderr says nothing of an unknown host: %q", got)
	}
	if !p.cmd.ProcessState.Success() {
		t.Errorf("the host ended with %v", p.cmd.ProcessState)
	}
}

// The plugin keeps to the instance's log level, since the host's check of it is
// a macro in the host's headers.
func TestLogLevel(t *testing.T) {
	eachFamily(t, func(t *testing.T, f family) {
		for level := levelError; level <= levelDebug; level++ {
			t.Run(strconv.Itoa(level), func(t *testing.T) {
				p := loaded(t, f)
				i := p.ready(guest(t, "unreachable"), function,
					settings{"log_level": strconv.Itoa(level), "alias": strings.Repeat("alias", 10)})
				chunk := chunkOf(3)
				i.filter("app", chunk)
				i.exit()
				seen := map[int]bool{}
				for _, l := range p.takeLogs() {
					if l.level > level {
						t.Errorf("log_level %d: a line of level %d: %s", level, l.level, l.text)
					}
					seen[l.level] = true
				}
				if !seen[levelError] {
					t.Error("the trap is not in the log")
				}
				if level >= levelInfo && !seen[levelInfo] {
					t.Error("no line of level info")
				}
			})
		}
	})
}

// What the plugin allocates does not pile up over chunks, nor over guests that
// are replaced after a trap.
func TestMemoryDoesNotGrow(t *testing.T) {
	emulator.Skip(t, "qemu 7.2 keeps 25 MB for each of thousands of guests that are given up")
	for _, name := range []string{"spaced", "identity", "drop", "wasi_print", "trap_every_third", "unreachable"} {
		t.Run(name, func(t *testing.T) {
			p := loaded(t, newest)
			i := p.ready(guest(t, name), function, settings{"breaker_failures": "0"})
			chunk := chunkOf(10)
			blocks := func() int {
				for range 500 {
					i.filter("app", chunk)
				}
				return p.do("memory").num("blocks")
			}
			blocks() // until caches are warm
			// What the Go runtime frees comes back in waves. A leak of one block
			// per chunk rises all the time.
			most, least := 0, 1<<30
			for range 4 {
				most = max(most, blocks())
			}
			for range 4 {
				least = min(least, blocks())
			}
			if least > most+200 {
				t.Errorf("at most %d blocks after 2,500 chunks, at least %d after 3,000", most, least)
			}
		})
	}
}
