package command

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/trial"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
)

func TestRunDiff(t *testing.T) {
	body := func(text string) []byte {
		v, err := trial.ParseValue([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return trial.Append(nil, v)
	}
	events := chunk.AppendRecord(nil, 10, 0, body(`{"m":1}`), body(`{"n":1}`))
	events = chunk.AppendRecord(events, -1, 0, body(`{"g":1}`), body(`{"r":2}`))
	events = chunk.AppendRecord(events, 20, 0, nil, body(`{"n":2}`))
	events = chunk.AppendRecord(events, -2, 0, nil, body(`{}`))
	events = chunk.AppendRecord(events, 30, 0, nil, body(`{"n":3}`))
	for _, tt := range []struct {
		name, guest string
		args        []string
		in          string
		code        int
		want        string
		summary     string
	}{
		{"nothing", "identity", nil, "{\"n\":1}\n{\"n\":2}\n", 0, "", "records in 2, out 2, dropped 0"},
		{"changed", "wrap", []string{fixedTime}, "{\"n\":1}\n", 0,
			"record 1: changed\n  $n\n    - 1\n  $tag\n    + \"app.log\"\n  $sec\n    + 1767366245\n  $record\n    + {\"n\":1}\n", "records in 1, out 1"},
		{"dropped", "drop_every_other", nil, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n", 0, "record 2: dropped\n  - {\"n\":2}\n", "records in 3, out 2, dropped 1"},
		{"failed", "trap_when_told", nil, "{\"n\":1}\n{\"trap\":true}\n", 1, "record 2: failed\n", "passed through by error 1"},
		{"failed and dropped", "trap_when_told", []string{"--on-error", "drop"}, "{\"trap\":true}\n", 1, "record 1: failed, and dropped\n  - {\"trap\":true}\n", "dropped 0, failed 1"},
		{"time, metadata, groups, further ones", "record_functions", []string{"--input-format", "msgpack"}, string(events), 0,
			`record 1: changed
  time
    - "1970-01-01T00:00:10Z"
    + "1970-01-01T00:00:11.000000005Z"
  metadata $m
    - 1
  metadata $was
    + {"m":1}
  + [["1970-01-01T00:00:11.000000005Z",{"was":{"m":1}}],{"copy":true}]
record 2: changed
  group $r
    - 2
  group $was
    + {"r":2}
  time
    - "1970-01-01T00:00:20Z"
    + "1970-01-01T00:00:21.000000005Z"
  metadata $was
    + {}
  + [["1970-01-01T00:00:21.000000005Z",{"was":{}}],{"copy":true}]
record 3: changed
  time
    - "1970-01-01T00:00:30Z"
    + "1970-01-01T00:00:31.000000005Z"
  metadata $was
    + {}
  + [["1970-01-01T00:00:31.000000005Z",{"was":{}}],{"copy":true}]
`, "records in 3, out 6"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := runMain(tt.in, append([]string{"run", guestFile(t, tt.guest), "--diff", "--log-level", "off"}, tt.args...)...)
			if got.code != tt.code || !strings.Contains(got.stderr, tt.summary) {
				t.Errorf("exit code %d, stderr %q", got.code, got.stderr)
			}
			if diff := cmp.Diff(tt.want, got.stdout); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	got := runMain("", "run", guestFile(t, "identity"), "--diff", "--chunk-records", "2")
	checkResult(t, got, 2, "", "--diff: it writes text, of records one by one: leave --chunk-records out")
}

// With colours, what was is red and what is is green.
func TestPalette(t *testing.T) {
	list := []trial.Change{{Path: "$a", Was: int64(1), Is: "x"}}
	if got := trial.Colours.Changes("", list); got != "\x1b[1m$a\x1b[0m\n  \x1b[31m- 1\x1b[0m\n  \x1b[32m+ \"x\"\x1b[0m\n" {
		t.Errorf("%q", got)
	}
	if got := paletteOf(&bytes.Buffer{}); got != (trial.Palette{}) {
		t.Error("what is no terminal has colours")
	}
}

// lines keeps what is written to it until it is read, line by line.
type lines struct {
	part strings.Builder // a line that has not ended
	all  chan string
}

func newLines() *lines { return &lines{all: make(chan string, 1000)} }

func (l *lines) Write(b []byte) (int, error) {
	l.part.Write(b)
	whole, rest, ok := cutLast(l.part.String())
	if ok {
		l.part.Reset()
		l.part.WriteString(rest)
		for line := range strings.Lines(whole) {
			l.all <- line
		}
	}
	return len(b), nil
}

// cutLast cuts a text behind its last line end.
func cutLast(text string) (whole, rest string, ok bool) {
	i := strings.LastIndexByte(text, '\n') + 1
	return text[:i], text[i:], i > 0
}

// until reads up to a line that has text in it, and returns all.
func (l *lines) until(t *testing.T, text string) string {
	t.Helper()
	var all strings.Builder
	deadline := time.After(time.Minute)
	for {
		select {
		case line := <-l.all:
			all.WriteString(line)
			if strings.Contains(line, text) {
				return all.String()
			}
		case <-deadline:
			t.Fatalf("%q does not come: %s", text, &all)
		}
	}
}

// What is run again when a file changes, and what is said of it.
func TestRunWatch(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) string {
		path := filepath.Join(dir, name)
		temp := filepath.Join(dir, "new")
		if err := os.WriteFile(temp, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(temp, path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	module := put("filter.wat", guests.WAT("lookup"))
	input := put("in.ndjson", "{\"n\":1}\n{\"n\":2}\n")
	table := put("t.csv", "k,v\nk,1\n")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stdout, stderr := newLines(), newLines()
	code := make(chan int, 1)
	go func() {
		c := mainUntil(ctx, []string{"run", module, input, "--watch", "--log-level", "off", "--quiet", "--tag", "t", fixedTime, "--table", "t=" + table},
			strings.NewReader(""), stdout, stderr)
		code <- c
	}()

	if got := stdout.until(t, "}") + stdout.until(t, "}"); got != "{\"value\":{\"v\":\"1\"}}\n{\"value\":{\"v\":\"1\"}}\n" {
		t.Errorf("%q", got)
	}
	put("t.csv", "k,v\nk,2\n")
	stderr.until(t, "changed: "+table)
	if got := stdout.until(t, "differ"); got != "output 1\n  $value['v']\n    - \"1\"\n    + \"2\"\noutput 2\n  $value['v']\n    - \"1\"\n    + \"2\"\n2 of 2 records differ\n" {
		t.Errorf("%q", got)
	}
	put("filter.wat", guests.WAT("identity"))
	stderr.until(t, "changed: "+module)
	if got := stdout.until(t, "differ"); got != "output 1\n  $value\n    - {\"v\":\"2\"}\n  $n\n    + 1\noutput 2\n  $value\n    - {\"v\":\"2\"}\n  $n\n    + 2\n2 of 2 records differ\n" {
		t.Errorf("%q", got)
	}
	put("filter.wat", "(module")
	stderr.until(t, "changed: "+module)
	stderr.until(t, "is not valid WebAssembly text")
	put("filter.wat", guests.WAT("drop_every_other"))
	stderr.until(t, "changed: "+module)
	if got := stdout.until(t, "differ"); got != "output 2, before\n  - {\"n\":2}\n1 of 2 records differ\n" {
		t.Errorf("%q", got)
	}
	put("in.ndjson", "{}\n{}\n")
	stderr.until(t, "changed: "+input)
	stdout.until(t, "differ")
	put("in.ndjson", "{}\n[]\n")
	stderr.until(t, "changed: "+input)
	stdout.until(t, "differ")
	put("in.ndjson", "{}\n\n[]\n")
	stderr.until(t, "changed: "+input)
	stdout.until(t, "the output is the same: 2 records")
	if err := os.Remove(input); err != nil {
		t.Fatal(err)
	}
	stderr.until(t, "changed: "+input)
	stderr.until(t, "no such file or directory")
	cancel()
	select {
	case c := <-code:
		if c != 0 {
			t.Errorf("exit code %d", c)
		}
	case <-time.After(time.Minute):
		t.Fatal("it does not end")
	}

	checkResult(t, runMain("", "run", module, "--watch"), 2, "", "--watch: name a file of records")
	checkResult(t, runMain("", "run", module, "--watch", input, "--output-format", "msgpack"), 2, "", "--watch: it writes text")
}

// Code that was compiled quickly does the same, and is ended the same way.
func TestRunQuick(t *testing.T) {
	for _, guest := range []string{"wrap", "trap_when_told", "infinite_loop", "stack_overflow", "oob_store", "grow", "call_counter"} {
		t.Run(guest, func(t *testing.T) {
			args := append(runArgs(t, guest, fixedTime, "--timeout", "200ms"), "--quiet")
			const in = "{\"n\":1}\n{\"n\":2,\"trap\":true}\n"
			want, got := runMain(in, args...), runMain(in, append(args, "--quick")...)
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(result{})); diff != "" {
				t.Errorf("(-without +with):\n%s", diff)
			}
		})
	}
	// That it is what it says is in the log, and that it is not kept.
	dir := filepath.Join(t.TempDir(), "cache")
	got := runMain("{}\n", "run", guestFile(t, "identity"), "--quick", "--cache-dir", dir)
	if entries, err := os.ReadDir(dir); got.code != 0 || !strings.Contains(got.stderr, "compiled quickly in") || len(entries) > 0 || err != nil {
		t.Errorf("%+v, %v, %v", got, entries, err)
	}
	got = runMain("{}\n", "run", guestFile(t, "identity"), "--cache-dir", dir)
	if got.code != 0 || !strings.Contains(got.stderr, "compiled in") {
		t.Errorf("%+v", got)
	}
}

// Whoever waits for a compiler hears of it.
func TestTellAfter(t *testing.T) {
	out := newLines()
	defer tellAfter(0, out, "a.wasm", "; why")()
	if got := out.until(t, "\n"); got != "flb-wasmtime: compiling a.wasm; why\n" {
		t.Errorf("%q", got)
	}
	var none bytes.Buffer
	tellAfter(time.Hour, &none, "a.wasm", "")()
	if none.Len() > 0 {
		t.Error(none.String())
	}
}
