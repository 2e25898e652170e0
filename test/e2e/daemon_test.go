package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/emulator"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/fluentbit"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/forwardserver"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// A daemon is a Fluent Bit that has gone into the background: the test is not its parent.
type daemon struct {
	t   *testing.T
	dir string
	log string
	pid int
}

// daemon starts a Fluent Bit whose arguments name dir, which has it go into the background and write
// its log to dir/fluent-bit.log.
func (fb fluentBit) daemon(t *testing.T, dir string, args ...string) *daemon {
	t.Helper()
	emulator.Skip(t, "qemu 7.2 can't fork a process of several threads")
	d := &daemon{t: t, dir: dir, log: filepath.Join(dir, "fluent-bit.log")}
	t.Cleanup(func() {
		killMentioning(dir)
		if t.Failed() {
			t.Logf("log of the daemon:\n%s", fluentbit.Clip(d.read()))
		}
	})
	run := fb.exec(t, dir, args...)
	if code := run.wait(); code != 0 {
		t.Fatalf("exit code of the process that goes to the background = %d", code)
	}
	poll(t, "one process in the background", func() bool {
		// The supervisor of a Fluent Bit is another one.
		pids := slices.DeleteFunc(mentioning(dir), func(pid int) bool { return pid == run.cmd.Process.Pid })
		if len(pids) == 1 {
			d.pid = pids[0]
		}
		return len(pids) == 1
	})
	return d
}

func (d *daemon) read() string {
	b, _ := os.ReadFile(d.log)
	return string(b)
}

func (d *daemon) untilLogged(parts ...string) {
	d.t.Helper()
	poll(d.t, strings.Join(parts, ", "), func() bool {
		for line := range strings.Lines(d.read()) {
			if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) }) {
				return true
			}
		}
		return false
	})
}

// untilEvents waits until the last of the events in a file has a key in its record.
func (d *daemon) untilLast(path, key string) {
	d.t.Helper()
	poll(d.t, "a record with "+key, func() bool {
		events := fileEvents(d.t, path)
		if len(events) == 0 {
			return false
		}
		body, _ := events[len(events)-1].Body.(map[string]any)
		return body[key] != nil
	})
}

// stop ends the daemon by SIGTERM, after which the log says of each filter what it has done.
func (d *daemon) stop(filters int) {
	d.t.Helper()
	if err := syscall.Kill(d.pid, syscall.SIGTERM); err != nil {
		d.t.Fatal(err)
	}
	poll(d.t, "the end of the daemon", func() bool { return len(mentioning(d.dir)) == 0 })
	if log := d.read(); strings.Count(log, " returned, ") != filters {
		// Fluent Bit may end before it has written its last lines, whoever runs it.
		d.t.Logf("the log has not the last lines of %d filters:\n%s", filters, log)
	}
}

// Daemon On, and -d: Fluent Bit forks after it has loaded the plugin. The child filters, also with
// helpers and after a trap and a timeout, and ends as others do.
func TestDaemon(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		for _, form := range []string{"classic", "yaml", "-d"} {
			t.Run(form, func(t *testing.T) {
				if form == "yaml" {
					needYAML(t, fb)
				}
				dir := t.TempDir()
				p := pipeline{
					service: []string{"log_file", filepath.Join(dir, "fluent-bit.log")},
					inputs:  []plugin{{name: "dummy", options: []string{"tag", "app", "rate", "100", "dummy", `{"n":1,"loop":true}`}}},
					filters: []plugin{
						filterOf(guest(t, "wrap"), "workers", "2"),
						filterOf(guest(t, "oob_store"), "breaker_failures", "0"),
						filterOf(guest(t, "infinite_loop"), "timeout", "1ms"),
					},
					yaml: form == "yaml",
				}
				var args []string
				if form == "-d" {
					args = append(args, "-d")
				} else {
					p.service = append(p.service, "daemon", "on")
				}
				d := fb.daemon(t, dir, append(args, "-e", pluginPath, "-c", p.write(t, dir))...)
				d.untilLast(outPath(dir), "record")
				d.untilLogged("wasmtime.1", "out of bounds memory access")
				d.untilLogged("wasmtime.2", "longer than the timeout")
				d.stop(3)
				for _, e := range fileEvents(t, outPath(dir)) {
					record, _ := e.Body.(map[string]any)["record"].(map[string]any)
					if record["n"] != oracle.Integer("1") {
						t.Fatalf("a record is %v", e.Body)
					}
				}
			})
		}
	})
}

// Filter and output in one process in the background.
func TestDaemonOutput(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		outPlugin, err := fluentbit.Plugin("out_wasmtime.so")
		if err != nil {
			t.Fatal(err)
		}
		received := make(chan forwardserver.Message, 1000)
		s, err := forwardserver.Listen(forwardserver.Config{Received: func(m forwardserver.Message) forwardserver.Verdict {
			select {
			case received <- m:
			default:
			}
			return forwardserver.Acknowledge
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Kill)
		dir := t.TempDir()
		conf := filepath.Join(dir, "fluent-bit.conf")
		writeFile(t, conf, strings.NewReplacer("DIR", dir, "ADDRESS", s.Address(), "WRAP", guest(t, "wrap"), "IDENTITY", guest(t, "identity")).Replace(`
[SERVICE]
    daemon on
    flush 0.2
    grace 2
    log_file DIR/fluent-bit.log
[INPUT]
    name dummy
    tag app
    dummy {"n":1}
    rate 50
[FILTER]
    name wasmtime
    match *
    wasm_path WRAP
    function_name filter
[OUTPUT]
    name wasmtime
    match *
    wasm_path IDENTITY
    function_name filter
    emit_to forward://ADDRESS
`))
		d := fb.daemon(t, dir, "-e", pluginPath, "-e", outPlugin, "-c", conf)
		n := 0
		for n < 20 {
			m := <-received
			events, err := oracle.Unpack(m.Events)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				if record, _ := e.Body.(map[string]any)["record"].(map[string]any); record["n"] != oracle.Integer("1") {
					t.Fatalf("a record is %v", e.Body)
				}
			}
			n += len(events)
		}
		d.stop(2)
	})
}

// Fluent Bit closes standard output when it goes into the background; what is opened next gets its
// number, and must not get records.
func TestDaemonHasNoStandardOutput(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		outPlugin, err := fluentbit.Plugin("out_wasmtime.so")
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		conf, log := filepath.Join(dir, "fluent-bit.conf"), filepath.Join(dir, "fluent-bit.log")
		writeFile(t, conf, `
[SERVICE]
    daemon on
    log_file `+log+`
[INPUT]
    name dummy
[OUTPUT]
    name wasmtime
    match *
    wasm_path `+guest(t, "identity")+`
    function_name filter
    emit_to stdout
`)
		for range logTries {
			run := fb.exec(t, dir, "-e", outPlugin, "-c", conf)
			if code := run.wait(); code != 0 {
				t.Fatalf("exit code of the process that goes to the background = %d", code)
			}
			t.Cleanup(func() { killMentioning(dir) })
			poll(t, "the end of the daemon", func() bool { return len(mentioning(dir)) == 0 })
			if b, err := os.ReadFile(log); err == nil && strings.Contains(string(b), "emit_to stdout: ") {
				return
			}
		}
		t.Error("the log does not say what is wrong with emit_to stdout")
	})
}

// A daemon reloads by SIGHUP as others do; a configuration that would not start is refused.
func TestDaemonReloads(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		dir := t.TempDir()
		p := reloadable(t, fb, filterOf(guest(t, "call_counter")))
		p.service = append(p.service, "daemon", "on", "log_file", filepath.Join(dir, "fluent-bit.log"))
		d := fb.daemon(t, dir, "-e", pluginPath, "-c", p.write(t, dir))
		d.untilLast(outPath(dir), "calls")
		for _, next := range []struct{ guest, key string }{{"wrap", "record"}, {"call_counter", "calls"}} {
			p.filters = []plugin{filterOf(guest(t, next.guest))}
			p.write(t, dir)
			syscall.Kill(d.pid, syscall.SIGHUP)
			d.untilLast(outPath(dir), next.key)
		}
		d.stop(3)
	})
}
