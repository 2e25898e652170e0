package command

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ugorji/go/codec"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/emulator"
)

const fixedTime = "--time=2026-01-02T15:04:05.5Z" // 1767366245.5

func TestRunNDJSON(t *testing.T) {
	tests := []struct {
		name   string
		guest  string
		args   []string
		in     string
		code   int
		out    string
		stderr []string
	}{
		{
			name: "identity", guest: "identity",
			in:  `{"a":1,"b":[true,null,"é\n",-0.5,{}],"big":18446744073709551615}` + "\n",
			out: `{"a":1,"b":[true,null,"é\n",-0.5,{}],"big":18446744073709551615}` + "\n",
			stderr: []string{
				"records in 1, out 1, dropped 0, passed through by error 0; ", " µs per record\n"},
		},
		{
			name: "tag and time", guest: "wrap", args: []string{"--tag", "x.y", fixedTime},
			in:  `{"a":1}`,
			out: `{"tag":"x.y","sec":1767366245,"record":{"a":1}}` + "\n",
		},
		{
			name: "default tag", guest: "wrap", args: []string{fixedTime},
			in:  `{"a":1}`,
			out: `{"tag":"app.log","sec":1767366245,"record":{"a":1}}` + "\n",
		},
		{
			name: "a size that is none", guest: "identity", args: []string{"--wasm-stack-size", "-1", "--log-level", "warn"},
			in:     `{"a":1}`,
			out:    `{"a":1}` + "\n",
			stderr: []string{`[ warn] [filter:wasmtime:wasmtime.0] option wasm_stack_size: "-1" is taken as 4000000 bytes`},
		},
		{
			name: "dropped", guest: "drop_every_other",
			in:     "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n",
			out:    "{\"n\":1}\n{\"n\":3}\n",
			stderr: []string{"records in 3, out 2, dropped 1, passed through by error 0; "},
		},
		{
			name: "all dropped", guest: "drop",
			in:     "{\"n\":1}\n{\"n\":2}\n",
			stderr: []string{"records in 2, out 0, dropped 2, passed through by error 0; "},
		},
		{
			name: "trap", guest: "trap_when_told", code: 1,
			in:     "{\"n\":1}\n{\"n\":2,\"trap\":true}\n{\"n\":3}\n",
			out:    "{\"n\":1}\n{\"n\":2,\"trap\":true}\n{\"n\":3}\n",
			stderr: []string{"records in 3, out 3, dropped 0, passed through by error 1; "},
		},
		{
			name: "reply is no JSON", guest: "bad_json", code: 1,
			in: "{\"n\":1}\n", out: "{\"n\":1}\n",
			stderr: []string{"records in 1, out 1, dropped 0, passed through by error 1; "},
		},
		{
			name: "msgpack to the guest", guest: "msgpack_identity", args: []string{"--event-format", "msgpack"},
			in: "{\"n\":0}\n", out: "{\"n\":0}\n",
		},
		{
			name: "blank lines, CRLF, no end of line", guest: "wrap", args: []string{fixedTime, "--tag=t"},
			in:     "\n{\"n\":1}\r\n \t\r\n\n{\"n\":2}",
			out:    "{\"tag\":\"t\",\"sec\":1767366245,\"record\":{\"n\":1}}\n{\"tag\":\"t\",\"sec\":1767366245,\"record\":{\"n\":2}}\n",
			stderr: []string{"records in 2, out 2, "},
		},
		{
			name: "nothing", guest: "identity",
			stderr: []string{"records in 0, out 0, dropped 0, passed through by error 0\n"},
		},
		{
			name: "lines that are no objects", guest: "drop", code: 1,
			in:  "{\"n\":1}\nplain text\n[1]\n{\"a\":\n  {\"a\":1}{\"b\":2}  \r\n{\"a\":1e999}\nlast",
			out: "plain text\n[1]\n{\"a\":\n  {\"a\":1}{\"b\":2}  \r\n{\"a\":1e999}\nlast\n",
			stderr: []string{
				"flb-wasmtime: stdin:2: not a JSON object; the line is passed through as it is\n",
				"flb-wasmtime: stdin:3: not a JSON object; ",
				"flb-wasmtime: stdin:4: not a JSON object: ",
				"flb-wasmtime: stdin:5: not a JSON object: something follows the object at byte 7; ",
				"flb-wasmtime: stdin:6: not a JSON object: ",
				"flb-wasmtime: stdin:7: not a JSON object; ",
				"records in 7, out 6, dropped 1, passed through by error 6; ",
			},
		},
		{
			name: "quiet", guest: "identity", args: []string{"--quiet"},
			in: "{}\n", out: "{}\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			// How the input is cut into chunks must not show.
			for _, chunkRecords := range []string{"1", "2", "75"} {
				args := runArgs(t, tt.guest, append(tt.args, "--chunk-records", chunkRecords)...)
				got := runMain(tt.in, args...)
				checkResult(t, got, tt.code, tt.out, tt.stderr...)
				if len(tt.stderr) == 0 && strings.Contains(strings.Join(tt.args, " "), "quiet") && got.stderr != "" {
					t.Errorf("standard error %q", got.stderr)
				}

				path := writeFile(t, "in.ndjson", tt.in)
				got = runMain("", append(args, path)...)
				var stderr []string
				for _, s := range tt.stderr {
					stderr = append(stderr, strings.ReplaceAll(s, "stdin", path))
				}
				checkResult(t, got, tt.code, tt.out, stderr...)
			}
		})
	}
}

func TestRunKeepsOrder(t *testing.T) {
	got := runMain("{\"n\":1}\nx\n{\"n\":2}\n{\"n\":3}\ny\n", runArgs(t, "identity")...)
	checkResult(t, got, 1, "{\"n\":1}\nx\n{\"n\":2}\n{\"n\":3}\ny\n")
}

func TestRunFiles(t *testing.T) {
	one, two := writeFile(t, "one", "{\"n\":1}"), writeFile(t, "two", "no\n{\"n\":2}\n")
	got := runMain("{\"n\":0}\n", runArgs(t, "identity", one, "-", two)...)
	checkResult(t, got, 1, "{\"n\":1}\n{\"n\":0}\nno\n{\"n\":2}\n", two+":1: not a JSON object", "records in 4, out 4")

	missing := filepath.Join(t.TempDir(), "missing")
	got = runMain("", runArgs(t, "identity", one, missing)...)
	checkResult(t, got, 2, "", missing, "no such file")

	directory := t.TempDir()
	got = runMain("", runArgs(t, "identity", directory, one)...)
	checkResult(t, got, 2, "", "flb-wasmtime: "+directory+" is a directory: name a file of records\n")
}

func TestRunLongLine(t *testing.T) {
	record := fmt.Sprintf("{\"a\":%q}\n", strings.Repeat("x", 3<<20))
	got := runMain("{}\n"+record+"{}\n", runArgs(t, "identity")...)
	checkResult(t, got, 0, "{}\n"+record+"{}\n", "records in 3, out 3")
}

func TestLineReader(t *testing.T) {
	type line struct {
		Text, Rest string
		Long       bool
	}
	broken := errors.New("broken")
	long := strings.Repeat("l", 100)
	tests := []struct {
		name string
		in   string
		end  error
		want []line
	}{
		{"none", "", io.EOF, nil},
		{"lines", "a\n\nb\n", io.EOF, []line{{Text: "a"}, {}, {Text: "b"}}},
		{"no end", "a\nb", io.EOF, []line{{Text: "a"}, {Text: "b"}}},
		{"error in a line", "a\nb", broken, []line{{Text: "a"}, {Text: "b"}}},
		{"as long as allowed", long[:40] + "\nx\n", io.EOF, []line{{Text: long[:40]}, {Text: "x"}}},
		{"too long", "x\n" + long + "\ny\n", io.EOF, []line{{Text: "x"}, {long[:48], long[48:], true}, {Text: "y"}}},
		{"too long without end", long, io.EOF, []line{{long[:48], long[48:], true}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := io.MultiReader(strings.NewReader(tt.in), errorReader{tt.end})
			l := lineReader{reader: bufio.NewReaderSize(in, 16), max: 40}
			var got []line
			for {
				text, err := l.next()
				next := line{Text: string(text)}
				if errors.Is(err, errLongLine) {
					var rest strings.Builder
					if err := l.copyRest(&rest); err != nil {
						t.Fatal(err)
					}
					next.Rest, next.Long = rest.String(), true
				} else if err != nil {
					if err != tt.end {
						t.Errorf("error %v, want %v", err, tt.end)
					}
					break
				}
				got = append(got, next)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

// A record from a pipe comes out before the pipe says more.
func TestRunDoesNotWaitForAChunk(t *testing.T) {
	stdin, toStdin := io.Pipe()
	fromStdout, stdout := io.Pipe()
	args := runArgs(t, "identity", "--quiet")
	code := make(chan int)
	go func() {
		c, _ := runTo(t, stdout, stdin, args...)
		stdout.Close()
		code <- c
	}()

	out := bufio.NewReader(fromStdout)
	for _, write := range []string{"{\"n\":1}\n", "{\"n\":2}\n{\"n\":", "3}\n"} {
		if _, err := io.WriteString(toStdin, write); err != nil {
			t.Fatal(err)
		}
		line, err := out.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%q gives %q", write, line)
	}
	toStdin.Close()
	if rest, err := io.ReadAll(out); len(rest) > 0 || err != nil {
		t.Errorf("at the end %q, error %v", rest, err)
	}
	if c := <-code; c != 0 {
		t.Errorf("exit code %d", c)
	}
}

func TestRunOutputFails(t *testing.T) {
	tests := []struct {
		err  error
		want string
	}{
		{&os.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.EPIPE}, ""},
		{io.ErrClosedPipe, ""},
		{syscall.ENOSPC, "flb-wasmtime: write standard output: no space left on device\n"},
	}
	for _, tt := range tests {
		for _, in := range []string{"{}\n", "no object\n"} {
			args := runArgs(t, "identity")
			code, stderr := runTo(t, failingWriter{tt.err}, strings.NewReader(in), args...)
			// That a line is no object is said before it is written.
			if code != 1 || !strings.HasSuffix(stderr, tt.want) || tt.want == "" && in == "{}\n" && stderr != "" {
				t.Errorf("%v: exit code %d, stderr %q", tt.err, code, stderr)
			}
		}
	}
}

func TestRunMistakes(t *testing.T) {
	wat := guestFile(t, "identity")
	guest := []string{"--wasm-path", wat, "--function-name", "filter"}
	tests := []struct {
		name string
		args []string
		want []string
	}{
		{"no module", nil, []string{"no module is given: name a .wasm file"}},
		{"several functions", []string{"--wasm-path", writeFile(t, "two.wat", twoFunctions)}, []string{" exports several functions", "choose one of one, two with --function-name"}},
		{"switch", append(guest, "--allow-precompiled=perhaps"), []string{`option allow_precompiled: invalid value "perhaps": allowed are on and off`}},
		{"event format", append(guest, "--event-format", "yaml"),
			[]string{`filter wasmtime.0: option event_format: invalid value "yaml": allowed are json and msgpack`}},
		{"size", append(guest, "--memory-limit", "-1"), []string{`option memory_limit: invalid value "-1": allowed are`}},
		{"file", []string{"--wasm-path", "/no/such.wasm", "--function-name", "f"}, []string{"filter wasmtime.0: ", "wasm_path", "no such file"}},
		{"function", []string{"--wasm-path", wat, "--function-name", "f"}, []string{"filter wasmtime.0: ", `function "f" is not exported`, "filter"}},
		{"input format", append(guest, "--input-format", "csv"), []string{`--input-format: invalid value "csv": allowed are ndjson and msgpack`}},
		{"output format", append(guest, "--output-format", "csv"), []string{`--output-format: invalid value "csv"`}},
		{"chunk records", append(guest, "--chunk-records", "0"), []string{"--chunk-records: invalid value 0: allowed are numbers from 1"}},
		{"time", append(guest, "--time", "now"), []string{`--time: invalid value "now": allowed are times such as 2026-`}},
		{"time before 1970", append(guest, "--time", "1969-12-31T23:59:59Z"), []string{`--time: invalid value "1969-`}},
		{"log level", append(guest, "--log-level", "loud"), []string{`--log-level: invalid log_level "loud": allowed are off, error`}},
		{"config and option", append(guest, "--config", "x"), []string{"--wasm-path: options of the filter come from the file given with --config"}},
		{"config", []string{"--config", "/no/such.conf"}, []string{"/no/such.conf: ", "no such file"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			checkResult(t, runMain("{}\n", append([]string{"run"}, tt.args...)...), 2, "", tt.want...)
		})
	}
}

// Every option of the filter is a flag, with its words.
func TestRunFlags(t *testing.T) {
	flags := newRun().Flags()
	for _, o := range options.Table {
		f := flags.Lookup(strings.TrimPrefix(flagName(o), "--"))
		if f == nil {
			t.Errorf("option %s is no flag", o.Name)
			continue
		}
		got := []string{f.Usage, f.DefValue, f.Value.Type()}
		word := o.Type.String()
		if o.Prefix != "" {
			word = o.Prefix
		}
		if diff := cmp.Diff([]string{o.Help, o.Default, word}, got); diff != "" {
			t.Errorf("option %s (-want +got):\n%s", o.Name, diff)
		}
	}
}

func TestRunLog(t *testing.T) {
	args := append([]string{"run", "--wasm-path", guestFile(t, "trap_when_told"), "--function-name", "filter"}, "--log-level")
	lines := func(level string) (found []string) {
		for line := range strings.Lines(runMain("{\"trap\":true}\n", append(args, level)...).stderr) {
			if stamp, rest, ok := strings.Cut(line, "] ["); ok && strings.HasPrefix(stamp, "[2") {
				found = append(found, strings.SplitN(rest, "]", 2)[0])
				if !strings.Contains(line, "] [filter:wasmtime:wasmtime.0] ") {
					t.Errorf("line %q does not name the filter", line)
				}
			}
		}
		return found
	}
	for level, want := range map[string]string{"off": "", "ERROR": "error", "warning": "error warn", "info": "info error warn"} {
		var got []string
		for _, l := range lines(level) {
			got = append(got, strings.TrimSpace(l))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("log level %s gives lines of %v, want %s", level, got, want)
		}
	}
}

// The oracle for raw chunks: a library's codec.
var handle = func() *codec.MsgpackHandle {
	h := &codec.MsgpackHandle{WriteExt: true}
	h.RawToString = true
	h.PositiveIntUnsigned = true
	return h
}()

func encode(t *testing.T, events ...any) string {
	t.Helper()
	var out []byte
	for _, e := range events {
		var one []byte
		if err := codec.NewEncoderBytes(&one, handle).Encode(e); err != nil {
			t.Fatal(err)
		}
		out = append(out, one...)
	}
	return string(out)
}

func decodeEvents(t *testing.T, raw string) []any {
	t.Helper()
	var events []any
	d := codec.NewDecoderBytes([]byte(raw), handle)
	for d.NumBytesRead() < len(raw) {
		var e any
		if err := d.Decode(&e); err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

// eventTime is the ext type of Fluent Bit: big endian seconds and nanoseconds.
func eventTime(sec, nsec uint32) *codec.RawExt {
	data := make([]byte, 8)
	for i := range 4 {
		data[i], data[4+i] = byte(sec>>(24-8*i)), byte(nsec>>(24-8*i))
	}
	return &codec.RawExt{Tag: 0, Data: data}
}

func event(sec, nsec uint32, metadata, body map[string]any) any {
	return []any{[]any{eventTime(sec, nsec), metadata}, body}
}

type object = map[string]any

func TestRunMsgpack(t *testing.T) {
	one := encode(t, event(1767366245, 7, object{"m": "x"}, object{"n": 1}))
	two := encode(t, event(1767366246, 8, object{}, object{"n": 2, "s": "\xff\x00"}))
	told := encode(t, event(1767366247, 9, object{}, object{"trap": true}))
	legacy := encode(t, []any{1767366248, object{"n": 4}})
	start := encode(t, event(0xffffffff, 0, object{"schema": "otlp"}, object{"resource": object{}}))
	end := encode(t, event(0xfffffffe, 0, object{}, object{}))
	tests := []struct {
		name   string
		guest  string
		args   []string
		in     string
		code   int
		out    string // of the same format as the arguments say
		stderr []string
	}{
		{"as it came", "msgpack_identity", []string{"--event-format", "msgpack"},
			start + one + end + two + legacy, 0, start + one + end + two + legacy,
			[]string{"records in 3, out 3, dropped 0, passed through by error 0; "}},
		{"dropped", "drop_every_other", nil, one + two + legacy, 0, one + legacy,
			[]string{"records in 3, out 2, dropped 1, "}},
		{"all dropped but markers", "drop", nil, start + one + two + end, 0, start + end, []string{"records in 2, out 0, dropped 2, "}},
		{"trap", "trap_when_told", nil, one + told + two, 1, one + told + two,
			[]string{"records in 3, out 3, dropped 0, passed through by error 1; "}},
		{"truncated", "drop", nil, one + two[:len(two)-1], 1, two[:len(two)-1],
			[]string{fmt.Sprintf("flb-wasmtime: stdin: byte %d: ", len(one)), fmt.Sprintf("the last %d bytes are passed through as they are", len(two)-1)}},
		{"not events", "drop", nil, "{\"a\":1}\n", 1, "{\"a\":1}\n", []string{"stdin: byte 0: not a log event"}},
		{"nothing", "drop", nil, "", 0, "", []string{"records in 0, out 0, "}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, chunkRecords := range []string{"1", "2", "75"} {
				args := append(tt.args, "--input-format", "msgpack", "--output-format", "msgpack", "--chunk-records", chunkRecords)
				got := runMain(tt.in, runArgs(t, tt.guest, args...)...)
				if got.stdout != tt.out {
					t.Errorf("output %q, want %q", got.stdout, tt.out)
				}
				got.stdout = ""
				checkResult(t, got, tt.code, "", tt.stderr...)
			}
		})
	}

	t.Run("modified", func(t *testing.T) {
		got := runMain(one+legacy, runArgs(t, "wrap", "--tag=t", "--input-format=msgpack", "--output-format=msgpack")...)
		want := []any{
			event(1767366245, 7, object{"m": "x"}, object{"tag": "t", "sec": 1767366245, "record": object{"n": 1}}),
			[]any{1767366248, object{"tag": "t", "sec": 1767366248, "record": object{"n": 4}}},
		}
		if diff := cmp.Diff(decodeEvents(t, encode(t, want...)), decodeEvents(t, got.stdout)); diff != "" || got.code != 0 {
			t.Errorf("exit code %d (-want +got):\n%s%s", got.code, diff, got.stderr)
		}
	})
	t.Run("to NDJSON", func(t *testing.T) {
		got := runMain(start+one+end+legacy+"\xc1\xc1", runArgs(t, "identity", "--input-format=msgpack")...)
		checkResult(t, got, 1, "{\"n\":1}\n{\"n\":4}\n", "the last 2 bytes are left out", "records in 2, out 2, ", "; left out 1\n")
	})
	t.Run("from NDJSON", func(t *testing.T) {
		got := runMain("{\"a\":[1.5,\"é\"]}\nno\n{}\n", runArgs(t, "identity", fixedTime, "--output-format=msgpack")...)
		want := []any{event(1767366245, 500_000_000, object{}, object{"a": []any{1.5, "é"}}), event(1767366245, 500_000_000, object{}, object{})}
		if diff := cmp.Diff(decodeEvents(t, encode(t, want...)), decodeEvents(t, got.stdout)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		got.stdout = ""
		checkResult(t, got, 1, "", "stdin:2: not a JSON object; the line is left out\n", "records in 3, out 2, dropped 0, ", "; left out 1\n")
	})
}

// A guest has the stack that it is given, however little the process's own threads have.
func TestLargeStackOnSmallThreads(t *testing.T) {
	const mark = "COMMAND_TEST_CHILD"
	guest := os.Getenv(mark)
	if guest == "" {
		path := writeFile(t, "deep.wat", `(module
  (memory (export "memory") 17)
  (func $down (param i32 i64 i64 i64 i64) (result i64)
    (if (result i64) (local.get 0)
      (then (i64.add (local.get 1) (call $down (i32.sub (local.get 0) (i32.const 1))
        (local.get 2) (local.get 3) (local.get 4) (local.get 1))))
      (else (local.get 1))))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (drop (call $down (i32.const 30000) (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4)))
    (local.get 4)))`)
		cmd := exec.Command("sh", append([]string{"-c", `ulimit -s 1024; exec "$@"`, "sh"},
			emulator.Words(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")...)...)
		cmd.Env = append(os.Environ(), mark+"="+path)
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
			t.Errorf("the child process: %v\n%.2000s", err, out)
		}
		return
	}
	run := func(stack string) result {
		return runMain("{\"a\":1}\n", "run", "--wasm-path", guest, "--function-name", "filter", "--log-level", "off", "--wasm-stack-size", stack)
	}
	checkResult(t, run("1M"), 1, `{"a":1}`+"\n") // it takes more than the threads have
	checkResult(t, run("4M"), 0, `{"a":1}`+"\n")
	if got := runMain("{\"a\":1}\n", "bench", "--records", "10", "--function-name", "filter", "--wasm-stack-size", "4M", guest); got.code != 0 {
		t.Errorf("bench: exit code %d: %s", got.code, got.stderr)
	}
}
