// Package toolchains_test runs the same guest, written in many languages and
// built in many ways, through the filter.
//
// The guest is called probe. Its reply to a record is
//
//	{"tag":TAG,"sec":SEC,"nsec":NSEC,"count":COUNT,"sum":SUM,"record":RECORD}
//
// COUNT is how often it has been called, this call included, counted from a
// value that the language's own initialisation sets where it has one. SUM is the
// 32-bit FNV-1a hash of the first 512 bytes of the record 8 calls before, 0 in the
// first 8 calls: the guest keeps these bytes in memory from its own allocator, so
// that a host which writes over that memory is found out. A record that holds the
// text "drop":true is dropped by NULL.
package toolchains_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/filter"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/records"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/transcode"
)

// row is a way to build the probe.
type row struct {
	File      string // module below this directory; its name up to the dot names the test
	Language  string // with the version that built the file
	Target    string
	Form      string // reactor, command, library
	Allocator string // whose malloc, exported or not
	Options   map[string]string
	Refused   string                    // part of the message that refuses it; "" means that it runs
	Build     func(t testing.TB) string // makes the file, if it is not committed; returns its path
}

// rows are all ways, language by language.
var rows = slices.Concat(cRows, rustRows, goRows, tinygoRows, assemblyscriptRows, zigRows)

func (r row) name() string { return strings.TrimSuffix(r.File, filepath.Ext(r.File)) }

func (r row) path(t testing.TB) string {
	if r.Build != nil {
		return r.Build(t)
	}
	return r.File
}

func (r row) open(t testing.TB, log func(hostlog.Level, string)) (*filter.Filter, error) {
	t.Helper()
	o, err := options.Parse(options.From(func(name string) (string, bool) {
		switch name {
		case "wasm_path":
			return r.path(t), true
		case "function_name":
			return "probe", true
		}
		v, ok := r.Options[name]
		return v, ok
	}))
	if err != nil {
		t.Fatal(err)
	}
	return filter.New(o, log)
}

const (
	tag       = "app.web"
	calls     = 3000
	chunkSize = 75
	window    = 8
	kept      = 512
)

// probeRecords are records as JSON: ordinary ones, a few large ones, and some
// that are to be dropped.
func probeRecords() [][]byte {
	list := slices.Collect(records.Generate(calls, 1))
	for i := range list {
		switch {
		case i%97 == 50:
			list[i] = fmt.Appendf(nil, `{"drop":true,"n":%d}`, i)
		case i%401 == 400:
			list[i] = fmt.Appendf(nil, `{"large":%q}`, strings.Repeat("x", 20_000-i%7))
		}
	}
	return list
}

func TestToolchains(t *testing.T) {
	for _, r := range rows {
		t.Run(r.name(), func(t *testing.T) {
			f, err := r.open(t, func(level hostlog.Level, line string) {
				if level <= hostlog.Warn {
					t.Log(line)
				}
			})
			if r.Refused != "" {
				if err == nil || !strings.Contains(err.Error(), r.Refused) {
					t.Fatalf("%v, want a refusal with %q", err, r.Refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			probe(t, f)
			if s := f.Stats(); s.Failed+s.GivenUp+s.Recycled > 0 {
				t.Error(s)
			}
		})
	}
}

// probe runs records through the filter and compares with what the probe's
// description makes of them.
func probe(t *testing.T, f *filter.Filter) {
	t.Helper()
	list := probeRecords()
	var want []string
	var inputs [][]byte
	var data []byte
	for i, text := range list {
		sec, nsec := int64(1_700_000_000+i), uint32(i)*1001
		body, _, err := transcode.AppendMsgpack(nil, text, 31)
		if err != nil {
			t.Fatal(err)
		}
		data = chunk.AppendRecord(data, sec, nsec, nil, body)
		input, _, err := transcode.AppendJSON(nil, body)
		if err != nil {
			t.Fatal(err)
		}
		inputs = append(inputs, input)
		if !bytes.Contains(input, []byte(`"drop":true`)) {
			want = append(want, fmt.Sprintf(`{"tag":%q,"sec":%d,"nsec":%d,"count":%d,"sum":%d,"record":%s}`,
				tag, sec, nsec, i+1, sum(inputs, i-window), input))
		}
		if (i+1)%chunkSize == 0 || i+1 == len(list) {
			out, modified := f.Run([]byte(tag), data)
			if !modified {
				t.Fatalf("record %d: the chunk was not modified", i)
			}
			compare(t, out, want)
			data, want = data[:0], want[:0]
		}
	}
}

func sum(inputs [][]byte, i int) uint32 {
	if i < 0 {
		return 0
	}
	h := fnv.New32a()
	h.Write(inputs[i][:min(kept, len(inputs[i]))])
	return h.Sum32()
}

// compare compares a chunk with records as JSON, value by value.
func compare(t *testing.T, out []byte, want []string) {
	t.Helper()
	for i := 0; len(out) > 0; i++ {
		event, rest, err := chunk.Next(out)
		if err != nil {
			t.Fatal(err)
		}
		out = rest
		got, _, err := transcode.AppendJSON(nil, event.Body)
		if err != nil {
			t.Fatal(err)
		}
		if i >= len(want) {
			t.Fatalf("a record more than expected: %.300s", got)
		}
		if diff := cmp.Diff(value(t, want[i]), value(t, string(got))); diff != "" {
			t.Fatalf("record %d of %d: %.2000s", i, len(want), diff)
		}
		if len(out) == 0 && i+1 != len(want) {
			t.Fatalf("%d records, want %d", i+1, len(want))
		}
	}
}

func value(t *testing.T, text string) (v any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v: %.300s", err, text)
	}
	return v
}

// BenchmarkToolchains measures what a record costs, in chunks of 75; beside it
// what it takes to load the module.
func BenchmarkToolchains(b *testing.B) {
	for _, r := range rows {
		if r.Refused != "" {
			continue
		}
		b.Run(r.name(), func(b *testing.B) {
			var compiled string
			f, err := r.open(b, func(level hostlog.Level, line string) {
				if compiled == "" {
					compiled = line
				}
			})
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			b.Log(compiled)
			var data []byte
			for i, text := range slices.Collect(records.Generate(chunkSize, 1)) {
				body, _, err := transcode.AppendMsgpack(nil, text, 31)
				if err != nil {
					b.Fatal(err)
				}
				data = chunk.AppendRecord(data, int64(i), 0, nil, body)
			}
			for b.Loop() {
				f.Run([]byte(tag), data)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*chunkSize), "µs/record")
		})
	}
}

var update = flag.Bool("update", false, "write the table of docs/toolchains.md")

const (
	guide      = "../../docs/toolchains.md"
	tableBegin = "<!-- toolchains: made from test/toolchains -->\n"
	tableEnd   = "<!-- /toolchains -->"
)

// The guide's table has the rows of this package.
func TestGuide(t *testing.T) {
	var table strings.Builder
	table.WriteString("| language | target | form | allocator | options | | test |\n|---|---|---|---|---|---|---|\n")
	for _, r := range rows {
		result := "runs"
		if r.Refused != "" {
			result = "refused: " + r.Refused
		}
		var set []string
		for name, v := range r.Options {
			set = append(set, fmt.Sprintf("`%s %s`", name, v))
		}
		slices.Sort(set)
		fmt.Fprintf(&table, "| %s | %s | %s | %s | %s | %s | `TestToolchains/%s` |\n",
			r.Language, r.Target, r.Form, r.Allocator, strings.Join(set, " "), result, r.name())
	}
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), tableBegin)
	_, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		t.Fatalf("%s has no table of toolchains", guide)
	}
	fresh := before + tableBegin + table.String() + tableEnd + after
	if fresh == string(text) {
		return
	}
	if !*update {
		t.Fatalf("%s is not up to date: run go test ./test/toolchains -update", guide)
	}
	if err := os.WriteFile(guide, []byte(fresh), 0o644); err != nil {
		t.Fatal(err)
	}
}
