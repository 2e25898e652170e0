package command

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/filter"
)

const twoFunctions = `(module (memory (export "memory") 1)
  (func (export "one") (param i32 i32 i32 i32 i32 i32) (result i32) (local.get 4))
  (func (export "other") (param i32) (result i32) (local.get 0))
  (func (export "two") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 0)))`

// benchArgs are those of a short measurement.
func benchArgs(path string, more ...string) []string {
	return append([]string{"bench", path, "--chunk-records", "50", "--records", "150"}, more...)
}

func TestBenchTable(t *testing.T) {
	const number = `[0-9]+\.[0-9]+`
	got := runMain("", benchArgs(guestFile(t, "drop_every_other"))...)
	want := regexp.MustCompile(`^module +\S+/drop_every_other\.wat
function       filter, event_format json
records        150 in 3 chunks of 50; 4[0-9][0-9] bytes of JSON each
returned       75
dropped        75
failed         0
given up       0 instances
speed          [0-9]+ records/s
per record     +` + number + ` µs
  transcoding  +` + number + ` µs +` + number + ` %
  crossing     +` + number + ` µs +` + number + ` %
  guest        +` + number + ` µs +` + number + ` %
linear memory  +1\.11 MB
resident       +` + number + ` MB
µs +p50 +p90 +p99 +p99\.9 +max
  chunk( +` + number + `){5}
  record alone( +` + number + `){5}
$`)
	if got.code != 0 || got.stderr != "" || !want.MatchString(got.stdout) {
		t.Errorf("exit code %d, stderr %q, stdout:\n%s", got.code, got.stderr, got.stdout)
	}
}

func TestBenchJSON(t *testing.T) {
	five := "{\"n\":1}\n\n{\"n\":2}\r\n{\"n\":3}\n{\"n\":4}\n {\"trap\":true}"
	tests := []struct {
		name, guest string
		args        []string
		in          string // a file of records, if it is not empty
		code        int
		want        figures
		stderr      string
	}{
		{name: "identity", guest: "identity",
			want: figures{Chunks: 3, Records: 150, Returned: 150, LinearMemoryBytes: 17 << 16}},
		{name: "whole chunks", guest: "identity", args: []string{"--records", "101"},
			want: figures{Chunks: 3, Records: 150, Returned: 150, LinearMemoryBytes: 17 << 16}},
		{name: "chunks of one", guest: "identity", args: []string{"--chunk-records", "1"},
			want: figures{ChunkRecords: 1, Chunks: 150, Records: 150, Returned: 150, LinearMemoryBytes: 17 << 16}},
		{name: "one record", guest: "identity_noalloc", args: []string{"--chunk-records", "1", "--records", "1"},
			want: figures{ChunkRecords: 1, Chunks: 1, Records: 1, Returned: 1, LinearMemoryBytes: 3 << 16}},
		{name: "drops", guest: "drop",
			want: figures{Chunks: 3, Records: 150, Dropped: 150, LinearMemoryBytes: 17 << 16}},
		{name: "msgpack", guest: "msgpack_identity", args: []string{"--event-format", "msgpack"},
			want: figures{EventFormat: "msgpack", Chunks: 3, Records: 150, Returned: 150, LinearMemoryBytes: 17 << 16}},
		// One of three from the first record of the warm-up on: 16 of its 50, then
		// 50 of 150, and 10 of the 30 alone.
		{name: "traps", guest: "trap_every_third", code: 1, stderr: "passed through unchanged: function filter: unreachable",
			want: figures{Chunks: 3, Records: 150, Returned: 100, Failed: 50, FailedElsewhere: 26, GivenUp: 50, LinearMemoryBytes: 17 << 16}},
		// The last record of each chunk: ten in fifty.
		{name: "file", guest: "trap_when_told", in: five, code: 1, args: []string{"--log-level", "off"},
			want: figures{RecordBytes: 8, Chunks: 3, Records: 150, Returned: 120, Failed: 30, FailedElsewhere: 10 + 6, GivenUp: 30}},
		{name: "file, chunks of another size", guest: "identity", in: five, args: []string{"--chunk-records", "3", "--records", "6"},
			want: figures{RecordBytes: 8, ChunkRecords: 3, Chunks: 2, Records: 6, Returned: 6, LinearMemoryBytes: 17 << 16}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := guestFile(t, tt.guest)
			args := benchArgs(path, append(tt.args, "--json")...)
			if tt.in != "" {
				args = append(args, writeFile(t, "in.ndjson", tt.in))
			}
			got := runMain("", args...)
			if got.code != tt.code || !strings.Contains(got.stderr, tt.stderr) || tt.stderr == "" && got.stderr != "" {
				t.Errorf("exit code %d, want %d; stderr %q", got.code, tt.code, got.stderr)
			}
			var found figures
			if err := json.Unmarshal([]byte(got.stdout), &found); err != nil || strings.Count(got.stdout, "\n") != 1 {
				t.Fatalf("%v: %s", err, got.stdout)
			}
			want := tt.want
			want.Module, want.Function = path, "filter"
			if want.EventFormat == "" {
				want.EventFormat = "json"
			}
			if want.ChunkRecords == 0 {
				want.ChunkRecords = 50
			}
			if tt.in == "" {
				want.RecordBytes = 448
			}
			measured := cmpopts.IgnoreFields(figures{}, "Seconds", "RecordsPerSecond", "MicrosPerRecord", "Shares", "ResidentBytes", "Chunk", "Record")
			if diff := cmp.Diff(want, found, measured); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			s := found.Shares
			if sum := s.Transcoding + s.Crossing + s.Guest; sum < 0.999 || sum > 1.001 || min(s.Transcoding, s.Crossing, s.Guest) < 0 {
				t.Errorf("shares %+v", s)
			}
			for _, p := range []percentiles{found.Chunk, found.Record} {
				if p.P50 <= 0 || p.P50 > p.P90 || p.P90 > p.P99 || p.P99 > p.P999 || p.P999 > p.Max {
					t.Errorf("percentiles %+v", p)
				}
			}
			if found.Seconds <= 0 || found.RecordsPerSecond <= 0 || found.MicrosPerRecord <= 0 || found.ResidentBytes == 0 {
				t.Errorf("%+v", found)
			}
		})
	}
}

func TestBenchInput(t *testing.T) {
	got := runMain("{\"a\":1}\n", append(benchArgs(guestFile(t, "identity")), "-")...)
	if got.code != 0 || !strings.Contains(got.stdout, "; 7 bytes of JSON each\n") {
		t.Errorf("%+v", got)
	}
	// A duration is the other way to say when to end.
	got = runMain("", "bench", guestFile(t, "identity"), "--duration", "1ms")
	if got.code != 0 || !strings.Contains(got.stdout, " chunks of 75; ") {
		t.Errorf("%+v", got)
	}
	got = runMain("", benchArgs(writeFile(t, "two.wat", twoFunctions), "--function-name", "two")...)
	if got.code != 0 || !strings.Contains(got.stdout, "\nfunction       two, ") || !strings.Contains(got.stdout, "\ndropped        150\n") {
		t.Errorf("%+v", got)
	}
}

func TestBenchUsage(t *testing.T) {
	identity := guestFile(t, "identity")
	two := writeFile(t, "two.wat", twoFunctions)
	none := guestFile(t, "wrong_signature")
	input := func(text string) string { return writeFile(t, "in.ndjson", text) }
	missing := filepath.Join(t.TempDir(), "missing")
	bad, empty, long := input("{\"n\":1}\nplain\n"), input("\n\n"), input(`{"a":"`+strings.Repeat("x", 1000)+`"}`)
	tests := []struct {
		name string
		args []string
		want string // what stderr is
	}{
		{"several candidates", []string{two}, two + " exports several functions that could be called for records: choose one of one, two with --function-name"},
		{"no candidate", []string{none}, none + " exports no function that could be called for records; flb-wasmtime check says what it has"},
		{"function", []string{identity, "--function-name", "go"}, "filter wasmtime.0: module " + identity + `: function "go" is not exported: set function_name to one of filter`},
		{"no file", []string{missing}, "filter wasmtime.0: option wasm_path: can't read the module: open " + missing + ": no such file or directory"},
		{"nothing", nil, "no module is given: name a .wasm file"},
		{"two inputs", []string{identity, bad, bad}, "one input at most is measured, not 2"},
		{"flag", []string{identity, "--wasmpath", identity}, "unknown flag: --wasmpath (did you mean --wasm-path?)"},
		{"option", []string{identity, "--event-format", "xml"}, `filter wasmtime.0: option event_format: invalid value "xml": allowed are json and msgpack`},
		{"chunk", []string{identity, "--chunk-records", "0"}, "--chunk-records: invalid value 0: allowed are numbers from 1 to 100000"},
		{"records", []string{identity, "--records", "0"}, "--records: invalid value 0: allowed are numbers from 1"},
		{"duration", []string{identity, "--duration", "0s"}, "--duration: invalid value 0s: allowed are times above 0, such as 500ms or 5s"},
		{"both", []string{identity, "--duration", "1s", "--records", "1"}, "--records and --duration: only one of them may be given"},
		{"log level", []string{identity, "--log-level", "loud"}, `--log-level: invalid log_level "loud": allowed are off, error, warn, info, debug, trace`},
		{"no input", []string{identity, missing}, "open " + missing + ": no such file or directory"},
		{"no object", []string{identity, bad}, bad + ":2: not a JSON object"},
		{"no record", []string{identity, empty}, empty + ": there is no record in it"},
		{"large chunk", []string{identity, long, "--chunk-records", "100000"}, "--chunk-records: 100000 of these records are more than the 64000000 bytes that a chunk may have here"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := runMain("", append([]string{"bench"}, tt.args...)...)
			if want := (result{2, "", "flb-wasmtime: " + tt.want + "\n"}); got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
		})
	}
}

// What is no terminal gets no progress bar, files neither.
func TestBenchProgress(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stderr")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var stdout strings.Builder
	if code := Main(benchArgs(guestFile(t, "identity")), strings.NewReader(""), &stdout, file); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if text, err := os.ReadFile(path); err != nil || len(text) > 0 {
		t.Errorf("%q, %v", text, err)
	}
}

func TestHistogram(t *testing.T) {
	var h histogram
	if got := h.percentiles(); got != (percentiles{}) {
		t.Errorf("of nothing: %+v", got)
	}
	// 1 µs to 10 ms in steps of 1 µs.
	for i := range 10_000 {
		h.add(time.Duration(i+1) * time.Microsecond)
	}
	want := percentiles{P50: 5000, P90: 9000, P99: 9900, P999: 9990, Max: 10_000}
	if diff := cmp.Diff(want, h.percentiles(), cmpopts.EquateApprox(0.01, 0)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if h.total != 50_005*time.Millisecond || h.n != 10_000 {
		t.Errorf("%d in %v", h.n, h.total)
	}

	// Every value is near the middle of its bucket, and buckets are in order.
	last := -1
	for v := uint64(0); v < 1<<62; v += v/500 + 1 {
		b := bucket(v)
		if m := middle(b); b < last || m < float64(v)*0.99 || m > float64(v)*1.01 {
			t.Fatalf("%d is in bucket %d after %d, whose middle is %v", v, b, last, m)
		}
		last = b
	}
	h.add(1<<63 - 1)
	h.add(-1)
}

func TestShares(t *testing.T) {
	for _, tt := range []struct {
		parts filter.Parts
		want  shares
	}{
		{filter.Parts{}, shares{}},
		{filter.Parts{Transcoding: 2, Crossing: 1, Guest: 1}, shares{0.5, 0.25, 0.25}},
	} {
		if got := sharesOf(tt.parts); got != tt.want {
			t.Errorf("%+v: %+v, want %+v", tt.parts, got, tt.want)
		}
	}
}
