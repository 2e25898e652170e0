package e2e

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ugorji/go/codec"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/conformance"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/fluentbit"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// notHere are the cases that Fluent Bits can't judge, and why.
var notHere = map[string]string{
	"batch-not-a-map":    "Fluent Bit 5.1 writes nothing of a chunk with a body that is no map",
	"batch-group-no-map": "Fluent Bit 5.1 writes nothing of a chunk with a body that is no map",
	"batch-groups-alone": "Fluent Bit 5.1 writes nothing of a chunk without records",
}

// The plugin in a Fluent Bit. All filters that start are in one process, each for a tag of its own,
// and their events come by the forward protocol.
func TestConformance(t *testing.T) {
	all, err := conformance.Load()
	if err != nil {
		t.Fatal(err)
	}
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		var started []*conformance.Case
		for _, c := range all {
			switch why := fb.cannot(c); {
			case why != "":
				t.Run(c.Name, func(t *testing.T) { t.Skip(why) })
			case c.Refused == nil:
				started = append(started, c)
			default:
				t.Run(c.Name, func(t *testing.T) {
					t.Parallel()
					c.Report(t, fb.refuse(t, c))
				})
			}
		}
		var results map[string]conformance.Result
		for range logTries {
			results = fb.runCases(t, started)
			// Now and then a line is not in the log.
			if !slices.ContainsFunc(started, func(c *conformance.Case) bool { return !c.LogIsComplete(results[c.Name].Log) }) {
				break
			}
		}
		for _, c := range started {
			t.Run(c.Name, func(t *testing.T) { c.Report(t, results[c.Name]) })
		}
	})
}

// cannot says why a case can't be run.
func (fb fluentBit) cannot(c *conformance.Case) string {
	switch {
	case c.Slow && os.Getenv("E2E_FULL") != "1":
		return "it takes its time: set E2E_FULL=1"
	case fb.legacyEvents() && c.NeedsTags():
		return "this Fluent Bit takes no events under other tags"
	case fb.legacyEvents() && !c.FitsLegacy():
		return "this Fluent Bit has no metadata"
	default:
		return notHere[c.Name]
	}
}

// legacyEvents says whether events have no metadata, as up to Fluent Bit 2.0.
func (fb fluentBit) legacyEvents() bool { return !strings.Contains(fb.help, "\nProcessors\n") }

// filterOfCase is the filter of a case, whose files are written to dir.
func filterOfCase(t *testing.T, c *conformance.Case, dir string) plugin {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := c.WriteFiles(dir); err != nil {
		t.Fatal(err)
	}
	f := plugin{name: "wasmtime", options: []string{"match", c.Name, "alias", c.Name}}
	for name, value := range c.FilterOptions(dir) {
		f.options = append(f.options, name, value)
	}
	return f
}

// refuse starts a Fluent Bit with the filter of one case.
func (fb fluentBit) refuse(t *testing.T, c *conformance.Case) conformance.Result {
	dir := t.TempDir()
	p := pipeline{inputs: []plugin{{name: "dummy"}}, filters: []plugin{filterOfCase(t, c, filepath.Join(dir, c.Name))}}
	run := fb.exec(t, dir, "-e", pluginPath, "-c", p.write(t, dir))
	r := conformance.Result{}
	poll(t, "the end, or the first record", func() bool {
		select {
		case <-run.done:
			r.Refused = run.cmd.ProcessState.ExitCode() != 0
			return true
		default:
			return len(run.output()) > 0
		}
	})
	r.Message = run.log.String()
	r.Log = linesOf(r.Message)[c.Name]
	return r
}

// runCases runs cases whose filters start, in one process.
func (fb fluentBit) runCases(t *testing.T, cases []*conformance.Case) map[string]conformance.Result {
	dir, port := t.TempDir(), freePort(t)
	p := pipeline{
		service: []string{"flush", "0.2", "grace", "5"},
		inputs:  []plugin{{name: "forward", options: []string{"listen", "127.0.0.1", "port", port}}},
	}
	for _, c := range cases {
		p.filters = append(p.filters, filterOfCase(t, c, filepath.Join(dir, c.Name)))
	}
	// Without a name of its own, the file of a tag is called as the tag.
	out := filepath.Join(dir, "out")
	if err := os.Mkdir(out, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "fluent-bit.conf")
	writeFile(t, path, p.asClassic([]plugin{{name: "file", options: []string{"match", "*", "path", out, "format", "msgpack"}}}))
	run := fb.exec(t, dir, "-e", pluginPath, "-c", path)
	for _, c := range cases {
		for i, chunk := range c.Chunks {
			entries := chunk.Bytes()
			if fb.legacyEvents() {
				entries = chunk.Legacy()
			}
			fb.send(t, run, port, c.Name, fmt.Sprintf("%s/%d", c.Name, i), entries, len(chunk.Events))
		}
	}
	run.stop()
	lines := linesOf(run.log.String())
	results := map[string]conformance.Result{}
	for _, c := range cases {
		b, err := os.ReadFile(filepath.Join(out, c.Name))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		results[c.Name] = conformance.Result{Joined: true, Chunks: [][]byte{b}, Log: lines[c.Name], Recoded: fb.legacyEvents()}
	}
	return results
}

// send sends a chunk, and waits until it has been through the filters, which is before Fluent Bit
// acknowledges it.
func (fb fluentBit) send(t *testing.T, run *process, port, tag, id string, entries []byte, n int) {
	t.Helper()
	conn := run.dial(port)
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(deadline))
	if _, err := conn.Write(oracle.Pack([]any{tag, entries, map[string]any{"size": n, "chunk": id}})); err != nil {
		t.Fatal(err)
	}
	var reply map[string]any
	if err := codec.NewDecoder(bufio.NewReader(conn), new(codec.MsgpackHandle)).Decode(&reply); err != nil {
		t.Fatalf("%s: no acknowledgement: %v", id, err)
	}
}

var filterLine = regexp.MustCompile(`^\[[^]]*\] \[ *([a-z]+)\] \[filter:wasmtime:([^]]*)\] (.*)$`)

// linesOf are the lines of filters in a log, by their names.
func linesOf(log string) map[string][]conformance.LogLine {
	lines := map[string][]conformance.LogLine{}
	for line := range strings.Lines(log) {
		if m := filterLine.FindStringSubmatch(fluentbit.Plain(strings.TrimSuffix(line, "\n"))); m != nil {
			lines[m[2]] = append(lines[m[2]], conformance.LogLine{Level: m[1], Text: m[3]})
		}
	}
	return lines
}
