package examples_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ugorji/go/codec"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/command"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/filter"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
	model "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/showcase"
)

type object = map[string]any

// showcase is a form of the guest, with the options that it needs.
type showcase struct {
	name string
	options.Options
}

func showcases() []showcase {
	o := options.Options{
		FunctionName: "filter", OnError: options.Drop, Timeout: time.Minute,
		BatchRecords: 1000, BatchBytes: 1e6, StoreLimitBytes: 1e6, MetricsSeries: 10, TableLimitBytes: 1e6,
		Config: []options.Property{{Key: "environment", Value: "production"}, {Key: "geo_path", Value: "country"}},
		Tables: []options.TableFile{{Name: "geo", Path: "showcase/geo.csv"}},
	}
	batch := showcase{"batch", o}
	batch.WasmPath = "showcase/batch.wasm"
	small := batch
	small.name, small.BatchRecords = "batch of 3", 3
	one := batch
	one.name, one.BatchRecords = "batch of 1", 1
	record := showcase{"record", o}
	record.WasmPath, record.EventFormat = "showcase/record.wasm", options.Msgpack
	rust := batch
	rust.name, rust.WasmPath = "rust", "showcase-rust/showcase.wasm"
	// The module has to be built, and takes seconds to compile.
	golang := batch
	golang.name, golang.WasmPath, golang.CacheDir = "go", "showcase-go/showcase.wasm", cache
	c := batch
	c.name, c.WasmPath = "c by SDK", "showcase-c/showcase.wasm"
	as := batch
	as.name, as.WasmPath = "assemblyscript", "showcase-assemblyscript/showcase.wasm"
	zig := batch
	zig.name, zig.WasmPath = "zig", "showcase-zig/showcase.wasm"
	return []showcase{batch, small, one, record, rust, golang, c, as, zig}
}

func (s showcase) start(t *testing.T) (f *filter.Filter, log *strings.Builder) {
	t.Helper()
	build(t, filepath.Dir(s.WasmPath))
	return s.run(t)
}

// run is start without a build.
func (s showcase) run(t *testing.T) (f *filter.Filter, log *strings.Builder) {
	t.Helper()
	log = &strings.Builder{}
	f, err := filter.New(s.Options, func(level hostlog.Level, line string) { fmt.Fprintln(log, level, line) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, log
}

// maker makes events of all kinds, and what the model has become of them.
type maker struct {
	*rand.Rand
	*model.Model
	in   []byte
	want []byte
}

func (r *maker) pick(from ...string) string { return from[r.IntN(len(from))] }

func (r *maker) text() string {
	address := r.pick("bob@example.com", "a@b", "x.y+z%1@mail-1.example.co.uk", "é@例え.jp", "a@b@c", "q@\xff", "\xfe@x")
	switch r.IntN(12) {
	case 0:
		return address
	case 1:
		return "mail to <" + address + ">, or " + address + "."
	case 2:
		return strings.Repeat("x", r.IntN(40)) + " " + address
	case 3:
		return strings.Repeat(address+" ", r.IntN(30))
	case 4:
		return strings.Repeat("-", []int{30, 31, 255, 256, 65535, 65536}[r.IntN(6)]-len(address)%31) + " " + address
	case 5:
		return r.pick("@", "a@", "@b", "a@ b", "a@.b", "a@@b", ".@.", "a@b..c", "a@b.", "\x00a@b\x00", "@@@", "user=a@b;")
	case 6:
		return ""
	default:
		return r.pick("request served", "plain", "日本語", "192.0.2.7", "debug", "tab\t", "0123456789012345678901234567890123456789")
	}
}

func (r *maker) value(depth int) any {
	n := r.IntN(12)
	if depth == 0 {
		n %= 9
	}
	switch n {
	case 0:
		return nil
	case 1:
		return r.IntN(2) == 0
	case 2:
		return []int64{0, 127, 128, -1, -33, 1 << 40, -1 << 63}[r.IntN(7)]
	case 3:
		return []any{1.5, float32(0.25), uint64(1) << 63}[r.IntN(3)]
	case 4:
		return []byte(r.text())
	case 5:
		return codec.RawExt{Tag: uint64(r.IntN(100) + 1), Data: bytes.Repeat([]byte("a@b "), []int{1, 2, 4, 7, 70}[r.IntN(5)])}
	case 9:
		return r.list(depth - 1)
	case 10, 11:
		return r.object(depth - 1)
	default:
		return r.text()
	}
}

func (r *maker) list(depth int) []any {
	list := []any{}
	for range []int{0, 1, 3, 17}[r.IntN(4)] {
		list = append(list, r.value(depth))
	}
	return list
}

func (r *maker) object(depth int) object {
	o := object{}
	for range r.IntN(4) {
		o[r.pick("a", "key", "carol@example.com", "level", "items", "count", "a key of more than thirty-one bytes")] = r.value(depth)
	}
	return o
}

func (r *maker) body() object {
	body := r.object(3)
	set := func(odds int, key string, value any) {
		if r.IntN(odds) == 0 {
			body[key] = value
		}
	}
	set(2, "level", r.pick("info", "debug", "Debug", "debug ", "debugging"))
	set(2, "user", r.pick("bob", "bob@example.com", "", strings.Repeat("u", 1024), strings.Repeat("u", 1025)))
	set(2, "client_ip", r.pick("192.0.2.7", "198.51.100.4", "2001:db8::1", "192.0.2.8", ""))
	set(3, "items", r.list(2))
	set(6, "environment", r.value(1))
	set(6, "country", r.value(1))
	set(6, "count", r.value(1))
	for i := range []int{0, 0, 0, 20, 200}[r.IntN(5)] {
		body[fmt.Sprint("k", i)] = i
	}
	return body
}

func pairOf(sec, nsec uint32, metadata object, body any) []byte {
	return oracle.Pack(oracle.Current(oracle.Timestamp(sec, nsec), metadata, body))
}

func (r *maker) event(i int) {
	body := r.body()
	sec, nsec := uint32(1_700_000_000+i), uint32(r.IntN(1e9))
	if r.IntN(6) == 0 {
		r.in = append(r.in, oracle.Pack(oracle.Legacy(oracle.Timestamp(sec, nsec), body))...)
		for _, b := range r.Bodies(body) {
			r.want = append(r.want, oracle.Pack(oracle.Legacy(oracle.Timestamp(sec, nsec), b))...)
		}
		return
	}
	metadata := r.object(2)
	r.in = append(r.in, pairOf(sec, nsec, metadata, body)...)
	bodies := r.Bodies(body)
	if len(bodies) > 0 {
		metadata = r.Mask(metadata, "metadata").(object)
	}
	for _, b := range bodies {
		r.want = append(r.want, pairOf(sec, nsec, metadata, b)...)
	}
}

func (r *maker) chunk(events int) {
	r.in, r.want = nil, nil
	for i := 0; i < events; {
		if r.IntN(3) > 0 {
			r.event(i)
			i++
			continue
		}
		group := object{"resource": object{"attributes": r.object(2)}, "scope": r.object(2)}
		schema := object{"schema": "otlp", "resource_id": 0}
		r.in = append(r.in, pairOf(1<<32-1, 0, schema, group)...)
		r.want = append(r.want, pairOf(1<<32-1, 0, schema, r.Mask(group, "group"))...)
		for n := 1 + r.IntN(6); n > 0; n-- {
			r.event(i)
			i++
		}
		r.in = append(r.in, pairOf(1<<32-2, 0, object{}, object{})...)
		r.want = append(r.want, pairOf(1<<32-2, 0, object{}, object{})...)
	}
}

// eventValues are headers and bodies, numbers and text of whatever width.
func eventValues(t *testing.T, chunk []byte) (list []any) {
	t.Helper()
	events, err := oracle.Unpack(chunk)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		var header any
		if err := oracle.Value([]byte(e.Header), &header); err != nil {
			t.Fatal(err)
		}
		list = append(list, []any{header, e.Body})
	}
	return list
}

// Both forms make of made-up events what the model makes of them, and count what it counts.
func TestShowcase(t *testing.T) {
	for _, s := range showcases() {
		t.Run(s.name, func(t *testing.T) {
			f, log := s.start(t)
			r := maker{Rand: rand.New(rand.NewPCG(1, 2)), Model: model.New(func(n int) any { return n })}
			for range 40 {
				r.chunk(1 + r.IntN(80))
				out, modified := f.Run([]byte("app.web"), r.in)
				if !modified {
					out = r.in
				}
				// cmp takes its time for large binaries.
				if want, got := eventValues(t, r.want), eventValues(t, out); !reflect.DeepEqual(want, got) {
					t.Fatal(cmp.Diff(want, got), log)
				}
			}
			got := map[string]int{}
			for _, m := range f.Metrics() {
				for _, series := range m.Series {
					got[m.Name+" "+series.Values[0]] = int(series.Value)
				}
			}
			want := map[string]int{}
			for where, n := range r.Masked {
				want["masked_total "+where] = n
			}
			if diff := cmp.Diff(want, got); diff != "" || len(want) != 3 {
				t.Error(diff)
			}
			if stats := f.Stats(); stats.Failed > 0 || int(stats.Dropped) != r.Dropped || r.Dropped == 0 {
				t.Errorf("%+v, dropped in the model: %d", stats, r.Dropped)
			}
		})
	}
}

// The other form of the guest makes the same of input.ndjson as the one of fluent-bit.conf.
func TestShowcaseRecord(t *testing.T) {
	t.Chdir("..")
	var outputs []string
	for _, form := range []string{"batch", "record"} {
		var stdout, stderr bytes.Buffer
		if code := command.Main([]string{"run", "examples/showcase/" + form + ".wasm", "--function-name", "filter",
			"--event-format", "msgpack", "--on-error", "drop", "--quiet",
			"--set", "environment=production", "--set", "geo_path=country", "--table", "geo=examples/showcase/geo.csv",
			"--store-limit", "1M", "examples/showcase/input.ndjson"}, strings.NewReader(""), &stdout, &stderr); code != 0 {
			t.Fatal(form, &stderr)
		}
		outputs = append(outputs, stdout.String())
	}
	if diff := cmp.Diff(outputs[0], outputs[1]); diff != "" || outputs[0] == "" {
		t.Error(diff)
	}
}

// What is not configured as it must be does not start.
func TestShowcaseRefuses(t *testing.T) {
	for _, s := range []showcase{showcases()[0], showcases()[3]} {
		for want, change := range map[string]func(o *options.Options){
			"config.environment: set what is to be added to each record, 1 to 256 bytes": func(o *options.Options) { o.Config = nil },
			"config.split_key, address_key, count_key, geo_path: set 1 to 64 bytes": func(o *options.Options) {
				o.Config = append(o.Config[:1:1], options.Property{Key: "split_key", Value: strings.Repeat("k", 65)})
			},
			"config.count_ttl: set a number of seconds, 1 to 999999": func(o *options.Options) {
				o.Config = append(o.Config[:1:1], options.Property{Key: "count_ttl", Value: "60s"})
			},
			"table.geo: set it to a .mmdb or .csv file": func(o *options.Options) { o.Tables = []options.TableFile{{Name: "other", Path: "showcase/geo.csv"}} },
			"store_limit": func(o *options.Options) { o.StoreLimitBytes = 0 },
		} {
			o := s.Options
			change(&o)
			f, err := filter.New(o, func(hostlog.Level, string) {})
			if err == nil {
				f.Close()
			}
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", s.name, err, want)
			}
		}
	}
}

// clockGuest keeps a record while the key of its store lives, which a record under the tag set makes for a second.
const clockGuest = `(module
  (import "flb_v1" "store_set" (func $set (param i32 i32 i32 i32 i64) (result i32)))
  (import "flb_v1" "store_get" (func $get (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (func (export "malloc") (param i32) (result i32) (i32.const 4096))
  (func (export "free") (param i32))
  (func (export "filter") (param $tag i32) (param i32 i32 i32) (param $record i32) (param i32) (result i32)
    (if (i32.eq (i32.load8_u (local.get $tag)) (i32.const 0x73))
      (then (drop (call $set (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1) (i64.const 1000)))))
    (select (local.get $record) (i32.const 0) (i32.ge_s (call $get (i32.const 0) (i32.const 1) (i32.const 1) (i32.const 1)) (i32.const 0)))))`

// Counts begin anew when their time to live is over: not before a key that was set before them, for the same time, is
// gone.
func TestShowcaseCountsExpire(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clock.wat")
	if err := os.WriteFile(path, []byte(clockGuest), 0o600); err != nil {
		t.Fatal(err)
	}
	in := pairOf(1, 0, object{}, object{"user": "bob"})
	for _, s := range showcases() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.Config = append(s.Config[:2:2], options.Property{Key: "count_ttl", Value: "1"})
			f, _ := s.start(t)
			clock, _ := showcase{"clock", options.Options{WasmPath: path, FunctionName: "filter", EventFormat: options.Msgpack, StoreLimitBytes: 1e6}}.run(t)
			clock.Run([]byte("set"), in)
			end := time.Now().Add(20 * time.Second)
			for last := 0; ; last++ {
				out, _ := f.Run([]byte("t"), in)
				body := eventValues(t, out)[0].([]any)[1].(object)
				var n int
				if _, err := fmt.Sscan(fmt.Sprint(body["count"]), &n); err != nil {
					t.Fatal(err)
				}
				switch {
				case n == 1 && last > 0:
					if out, dropped := clock.Run([]byte("get"), in); !dropped || len(out) > 0 {
						t.Fatalf("the count begins anew before its time, after %d", last)
					}
					return
				case n != last+1:
					t.Fatalf("%d after %d", n, last)
				case time.Now().After(end):
					t.Fatal("the count does not end")
				}
			}
		})
	}
}

// What can't be masked does not come out, and neither do the attributes of its group.
func TestShowcaseFailsClosed(t *testing.T) {
	group := pairOf(1<<32-1, 0, object{}, object{"resource": object{"owner": "bob@example.com"}})
	fine := pairOf(2, 0, object{}, object{"log": "bob@example.com"})
	large := pairOf(1, 0, object{"m": "bob@example.com"}, object{"x": strings.Repeat("x", 300<<10), "log": "bob@example.com", "items": make([]int, 100)})
	for _, s := range showcases() {
		t.Run(s.name, func(t *testing.T) {
			s.MemoryLimitBytes = 4 << 20
			if s.name == "go" {
				s.MemoryLimitBytes = 32 << 20 // the runtime takes a part of it, and all ends with what is left
			}
			f, log := s.start(t)
			out, _ := f.Run([]byte("t"), bytes.Join([][]byte{group, large, fine}, nil))
			if s.name == "go" {
				if len(out) > 0 || f.Stats().Failed != 2 || !strings.Contains(log.String(), "out of memory") {
					t.Errorf("%.1000q, %+v, log: %s", out, f.Stats(), log)
				}
				return
			}
			if list := eventValues(t, out); len(list) != 2 || bytes.Contains(out, []byte("bob@")) {
				t.Errorf("%d events: %.1000q, log: %s", len(list), out, log)
			}
			if !strings.Contains(log.String(), "no memory for the event") {
				t.Error(log)
			}
		})
		if s.name == "record" {
			s.EventFormat = options.JSON
			f, log := s.start(t)
			out, _ := f.Run([]byte("t"), bytes.Join([][]byte{group, fine}, nil))
			if list := eventValues(t, out); len(list) != 1 || bytes.Contains(out, []byte("bob@")) || !strings.Contains(log.String(), "set event_format msgpack") {
				t.Errorf("%q %s", out, log)
			}
		}
	}
}

// A batch has room for so many operations, and what has more is an error: there is always room to say so.
func TestShowcaseOperations(t *testing.T) {
	const room = 32768
	fine := pairOf(2, 0, object{}, object{"log": "bob@example.com"})
	for _, n := range []int{room + 1, room, room - 1, room - 2, room - 3} {
		f, log := showcases()[0].start(t)
		many := pairOf(1, 0, object{}, object{"log": "bob@example.com", "items": make([]int, n)})
		out, _ := f.Run([]byte("t"), bytes.Join([][]byte{many, fine, fine}, nil))
		want, failed := 2, uint64(1)
		if n+2 <= room {
			want, failed = n+2, 0
		}
		if list := eventValues(t, out); len(list) != want || bytes.Contains(out, []byte("bob@")) || f.Stats().Failed != failed {
			t.Errorf("%d: %d events, %d failed, log: %s", n, len(list), f.Stats().Failed, log)
		}
		if said := strings.Contains(log.String(), "too many changes: set a smaller batch_records"); said != (failed > 0) {
			t.Error(n, log)
		}
	}
}
