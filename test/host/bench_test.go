package host

import (
	"bytes"
	"cmp"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/records"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/transcode"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/showcase"
)

// Benchmarks run in a host whose malloc checks nothing.
var (
	plain     = func(f family) family { f.plain = true; return f }(newest)
	plainHost = sync.OnceValue(func() error { return compile(plain, "-DPLAIN_MALLOC") })
)

// timed are the guests of test/bench, as far as each stands for a kind of work.
var timed = []struct{ name, path, format string }{
	{"wrap", "../guests/wrap.wat", "json"},
	{"add_json", "../bench/testdata/add_json.wat", "json"},
	{"identity", "../guests/identity.wat", "json"},
	{"add_msgpack", "../bench/testdata/add_msgpack.wat", "msgpack"},
	{"drop_msgpack", "../bench/testdata/drop_msgpack.wat", "msgpack"},
	{"look_msgpack", "../bench/testdata/look_msgpack.wat", "msgpack"},
	{"look_batch", "../bench/testdata/look_batch.wat", "msgpack"},
	{"add_batch", "../bench/testdata/add_batch.wat", "msgpack"},
}

// tailChunk is a chunk of n records as Fluent Bit's tail makes it with the json parser.
func tailChunk(b *testing.B, n int) []byte {
	b.Helper()
	return tailChunkOf(b, records.Generate(n, 1))
}

// tailChunkOf makes a chunk of records in JSON. The headers of metadata and body have 32 bits.
func tailChunkOf(b *testing.B, texts iter.Seq[[]byte]) []byte {
	b.Helper()
	var chunk []byte
	nsec := uint32(0)
	for text := range texts {
		body, _, err := transcode.AppendMsgpack(nil, text, 31)
		if err != nil || body[0]&0xf0 != 0x80 {
			b.Fatalf("%s: %v, %x", text, err, body)
		}
		chunk = append(chunk, 0x92, 0x92)
		chunk = append(chunk, oracle.Pack(oracle.Timestamp(1700000000, nsec))...)
		chunk = append(chunk, 0xdf, 0, 0, 0, 0, 0xdf)
		chunk = binary.BigEndian.AppendUint32(chunk, uint32(body[0]&0x0f))
		chunk = append(chunk, body[1:]...)
		nsec++
	}
	return chunk
}

// eachCall runs a benchmark for each guest and number of records in a chunk. words are what a command
// needs to know of instance, tag and chunk.
func eachCall(b *testing.B, sizes []int, bench func(b *testing.B, p *process, n int, words []string)) {
	if err := plainHost(); err != nil {
		b.Fatal(err)
	}
	for _, g := range timed {
		for _, n := range sizes {
			b.Run(fmt.Sprintf("%s/%d", g.name, n), func(b *testing.B) {
				path, err := filepath.Abs(g.path)
				if err != nil {
					b.Fatal(err)
				}
				p := loaded(b, plain)
				i := p.ready(path, function, settings{"event_format": g.format})
				bench(b, p, n, []string{i.id, enhex("app"), p.chunk(tailChunk(b, n))})
				i.exit()
			})
		}
	}
}

// BenchmarkFilter times calls of cb_filter, on a thread's own stack and on that of a
// coroutine, which has the instance's thread do it.
func BenchmarkFilter(b *testing.B) {
	for _, caller := range []struct{ name, stackBytes string }{{"thread", "0"}, {"coroutine", "24576"}} {
		b.Run(caller.name, func(b *testing.B) {
			eachCall(b, []int{1, 75, 1000}, func(b *testing.B, p *process, n int, words []string) {
				call := func(rounds int) int {
					return p.do(append([]string{"time", strconv.Itoa(rounds), caller.stackBytes}, words...)...).num("ns")
				}
				call(1000/n + 10) // what is cold counts on its first use only
				ns := call(b.N)
				b.ReportMetric(float64(ns)/float64(b.N*n), "ns/record")
			})
		})
	}
}

// BenchmarkInstructions counts the instructions of a call, which noise can't touch. With
// symbols in the shared object, it logs which functions they are from. Ten records are
// as good as more here: there is nothing to learn, and each step takes 50 µs.
func BenchmarkInstructions(b *testing.B) {
	symbols := readSymbols(b, filepath.Join(objectDir, filterWasmtime))
	known := map[string]float64{} // go test calls again for more rounds
	eachCall(b, []int{1, 10, 75}, func(b *testing.B, p *process, n int, words []string) {
		perRecord, ok := known[b.Name()]
		if !ok {
			perRecord = symbols.instructions(b, p, n, words)
			known[b.Name()] = perRecord
		}
		b.ReportMetric(perRecord, "instructions/record")
		b.ReportMetric(0, "ns/op")
	})
}

// instructions counts those of a call that is no longer the first, per record of n.
func (s symbols) instructions(b *testing.B, p *process, n int, words []string) float64 {
	p.do(append([]string{"time", "10", "0"}, words...)...)
	r := p.do(append([]string{"instructions"}, words...)...)
	by := map[string]int{}
	for _, d := range r.details {
		offset, _ := strconv.ParseUint(d[2], 10, 64)
		count, _ := strconv.Atoi(d[3])
		by[s.name(d[1], offset)] += count
	}
	var text strings.Builder
	for _, name := range slices.SortedFunc(maps.Keys(by), func(x, y string) int { return cmp.Compare(by[y], by[x]) }) {
		if by[name] >= 20*n {
			fmt.Fprintf(&text, " %s %d,", name, by[name]/n)
		}
	}
	b.Logf("per record:%s and less", &text)
	return float64(r.num("instructions")) / float64(n)
}

// BenchmarkShowcase counts the instructions of the forms of examples/showcase, per record of 16: of these each kind is one.
func BenchmarkShowcase(b *testing.B) {
	if err := plainHost(); err != nil {
		b.Fatal(err)
	}
	table, err := filepath.Abs("../../examples/showcase/geo.csv")
	if err != nil {
		b.Fatal(err)
	}
	symbols := readSymbols(b, filepath.Join(objectDir, filterWasmtime))
	known := map[string]float64{}
	const n = 16
	for _, c := range []struct{ name, path, format string }{
		{"c", "showcase/batch.wasm", "msgpack"},
		{"c, six arguments", "showcase/record.wasm", "msgpack"},
		{"c by sdk", "showcase-c/showcase.wasm", "msgpack"},
		{"rust by sdk", "showcase-rust/showcase.wasm", "msgpack"},
		{"zig by sdk", "showcase-zig/showcase.wasm", "msgpack"},
	} {
		b.Run(c.name, func(b *testing.B) {
			if _, ok := known[c.name]; !ok {
				path, err := filepath.Abs("../../examples/" + c.path)
				if err != nil {
					b.Fatal(err)
				}
				p := loaded(b, plain)
				i := p.ready(path, "filter", settings{"event_format": c.format, "table.geo": table, "store_limit": "1M",
					"config.environment": "production", "config.geo_path": "country"})
				chunk := tailChunkOf(b, showcase.Records(n, 1))
				known[c.name] = symbols.instructions(b, p, n, []string{i.id, enhex("app"), p.chunk(chunk)})
				i.exit()
			}
			b.ReportMetric(known[c.name], "instructions/record")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkExamples counts the instructions of the examples, per record of their samples: by the SDK, and bare. Modules
// of Go, which are not committed, are left out.
func BenchmarkExamples(b *testing.B) {
	if err := plainHost(); err != nil {
		b.Fatal(err)
	}
	symbols := readSymbols(b, filepath.Join(objectDir, filterWasmtime))
	known := map[string]float64{}
	for _, c := range []struct{ path, function string }{
		{"c/redact.wasm", "filter"}, {"c/bare/redact.wasm", "redact"},
		{"rust/enrich.wasm", "filter"}, {"rust/bare/enrich.wasm", "enrich"},
		{"assemblyscript/sample.wasm", "filter"}, {"assemblyscript/bare/sample.wasm", "sample"},
		{"zig/logfmt.wasm", "filter"}, {"zig/bare/logfmt.wasm", "logfmt"},
		{"enrich-table/enrich.wasm", "filter"}, {"enrich-table/bare/enrich.wasm", "enrich"},
	} {
		b.Run(c.path, func(b *testing.B) {
			if _, ok := known[c.path]; !ok {
				path, err := filepath.Abs("../../examples/" + c.path)
				if err != nil {
					b.Fatal(err)
				}
				dir := strings.TrimSuffix(filepath.Dir(path), "/bare")
				text, err := os.ReadFile(filepath.Join(dir, "input.ndjson"))
				if err != nil {
					b.Fatal(err)
				}
				lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
				set := settings{"config.rate": "0.5", "env": "SAMPLE_RATE=0.5"}
				if filepath.Base(dir) == "enrich-table" {
					set["table.users"] = filepath.Join(dir, "users.csv")
				}
				p := loaded(b, plain)
				i := p.ready(path, c.function, set)
				chunk := tailChunkOf(b, slices.Values(lines))
				known[c.path] = symbols.instructions(b, p, len(lines), []string{i.id, enhex("app"), p.chunk(chunk)})
				i.exit()
			}
			b.ReportMetric(known[c.path], "instructions/record")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkHostFunctions counts the instructions of host functions: of twenty calls for one record, less
// those of a record without any.
func BenchmarkHostFunctions(b *testing.B) {
	if err := plainHost(); err != nil {
		b.Fatal(err)
	}
	path, err := filepath.Abs("../bench/testdata/host_functions.wat")
	if err != nil {
		b.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	known := map[string]int{}
	for _, m := range regexp.MustCompile(`\(func \(export "(\w+)"\) \(type \$filter\)`).FindAllSubmatch(text, -1) {
		name := string(m[1])
		b.Run(name, func(b *testing.B) {
			if _, ok := known[name]; !ok {
				p := loaded(b, plain)
				i := p.ready(path, name, settings{"store_limit": "1M"})
				words := []string{i.id, enhex("app"), p.chunk(tailChunk(b, 1))}
				p.do(append([]string{"time", "10", "0"}, words...)...)
				known[name] = p.do(append([]string{"instructions"}, words...)...).num("instructions")
				i.exit()
			}
			b.ReportMetric(float64(known[name]-known["nothing"])/20, "instructions/call")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// symbols are the functions of a shared object, by their offset in the file.
type symbols struct {
	path  string
	from  []uint64
	names []string
}

func readSymbols(b *testing.B, path string) symbols {
	b.Helper()
	f, err := elf.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	all, err := f.Symbols()
	if err != nil {
		b.Logf("%s: %v: build it without -ldflags=-s to see functions", path, err)
	}
	s := symbols{path: path}
	functions := map[uint64]string{}
	for _, symbol := range all {
		if elf.ST_TYPE(symbol.Info) != elf.STT_FUNC {
			continue
		}
		for _, segment := range f.Progs {
			if segment.Type == elf.PT_LOAD && symbol.Value >= segment.Vaddr && symbol.Value < segment.Vaddr+segment.Filesz {
				functions[symbol.Value-segment.Vaddr+segment.Off] = symbol.Name
			}
		}
	}
	s.from = slices.Sorted(maps.Keys(functions))
	for _, offset := range s.from {
		s.names = append(s.names, functions[offset])
	}
	return s
}

// name is the function at an offset of a file. "-" stands for code that is in none.
func (s symbols) name(file string, offset uint64) string {
	if file == "-" {
		return "the guest"
	}
	i := sort.Search(len(s.from), func(i int) bool { return s.from[i] > offset })
	if file != s.path || i == 0 {
		return filepath.Base(file)
	}
	return strings.TrimPrefix(s.names[i-1], "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/")
}

// BenchmarkRecordFunctions counts the instructions of what each function for the current record costs:
// those of a guest that calls it once and returns its record, in chunks of ten records. A chunk
// with a group goes through Go in any case.
func BenchmarkRecordFunctions(b *testing.B) {
	if err := plainHost(); err != nil {
		b.Fatal(err)
	}
	symbols := readSymbols(b, filepath.Join(objectDir, filterWasmtime))
	const metadata, room = `{"severity":9,"trace":"5b8efff798038103"}`, 16384
	const imports = `
  (import "flb_v1" "time_get" (func $time_get (result i64)))
  (import "flb_v1" "time_set" (func $time_set (param i64 i32) (result i32)))
  (import "flb_v1" "metadata_get" (func $metadata_get (param i32 i32) (result i32)))
  (import "flb_v1" "metadata_set" (func $metadata_set (param i32 i32) (result i32)))
  (import "flb_v1" "group_get" (func $group_get (param i32 i32) (result i32)))
  (import "flb_v1" "group_set" (func $group_set (param i32 i32) (result i32)))
  (import "flb_v1" "emit" (func $emit (param i32 i32 i32 i32 i64 i32) (result i32)))`
	set := func(call string) string {
		return fmt.Sprintf("(drop (call $%s (i32.const 0) (i32.const %d)))", call, len(metadata))
	}
	group := oracle.Pack(oracle.Current(oracle.Timestamp(1<<32-1, 0), map[string]any{}, map[string]any{
		"resource": map[string]any{"attributes": map[string]any{"service.name": "shop", "host.name": "web-7d4b9c6f5-x2x7p"}}}))
	for _, c := range []struct{ name, body string }{
		{"none", ""},
		{"none in a group", ""},
		{"group_get", fmt.Sprintf("(drop (call $group_get (i32.const %d) (i32.const %[1]d)))", room)},
		{"group_set", set("group_set")},
		{"time_get", "(drop (call $time_get))"},
		{"metadata_get", fmt.Sprintf("(drop (call $metadata_get (i32.const %d) (i32.const %[1]d)))", room)},
		{"time_set", "(drop (call $time_set (i64.const 1) (i32.const 1)))"},
		{"metadata_set", set("metadata_set")},
		{"emit", fmt.Sprintf("(drop (call $emit (i32.const 0) (i32.const %d) (i32.const 0) (i32.const 0) (i64.const -1) (i32.const 0)))", len(metadata))},
	} {
		b.Run(c.name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "guest.wat")
			text := `(module ` + imports + ` (memory (export "memory") 4) (data (i32.const 0) "` + strings.ReplaceAll(metadata, `"`, `\"`) + `")
  (func (export "malloc") (param i32) (result i32) (i32.const 65536))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) ` + c.body + ` (local.get 4)))`
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				b.Fatal(err)
			}
			p := loaded(b, plain)
			i := p.ready(path, "filter", settings{"event_format": "json"})
			chunk := tailChunk(b, 10)
			if strings.Contains(c.name, "group") {
				chunk = append(group, chunk...)
			}
			words := []string{i.id, enhex("app"), p.chunk(chunk)}
			b.ReportMetric(symbols.instructions(b, p, 10, words), "instructions/record")
			b.ReportMetric(0, "ns/op")
			i.exit()
		})
	}
}
