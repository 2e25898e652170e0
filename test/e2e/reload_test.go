package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// replaceFile has another file take the place of one, all at once.
func replaceFile(t *testing.T, path, text string) {
	t.Helper()
	writeFile(t, path+".new", text)
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// A numberer writes numbered records into a file that Fluent Bit follows.
type numberer struct {
	t    *testing.T
	file *os.File
	n    int
}

func newNumberer(t *testing.T) *numberer {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "in.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return &numberer{t: t, file: file}
}

func (w *numberer) input() plugin {
	return plugin{name: "tail", options: []string{"path", w.file.Name(), "parser", "json", "tag", "app",
		"read_from_head", "true", "refresh_interval", "1", "buffer_chunk_size", "1M", "buffer_max_size", "1M",
		"db", w.file.Name() + ".db"}}
}

// write writes n more records.
func (w *numberer) write(n int) {
	w.t.Helper()
	var b strings.Builder
	for range n {
		fmt.Fprintf(&b, "{\"n\":%d}\n", w.n)
		w.n++
	}
	if _, err := w.file.WriteString(b.String()); err != nil {
		w.t.Fatal(err)
	}
}

// versions checks that the records that have come out are the numbers from 0 on, each once and in order,
// and returns the versions of the module that they have been through, "-" for none, each once for a run
// of it.
func versions(t *testing.T, events []oracle.Event) (list string) {
	t.Helper()
	for i, e := range events {
		body := e.Body.(map[string]any)
		version, _ := body["version"].(string)
		if inner, ok := body["record"].(map[string]any); ok {
			body = inner
		}
		if version == "" {
			version = "-"
		}
		if fmt.Sprint(body["n"]) != strconv.Itoa(i) {
			t.Fatalf("record %v in the place of %d", body["n"], i)
		}
		if !strings.HasSuffix(list, version) {
			list += version
		}
	}
	return list
}

// untilVersion writes records until one comes out of that version.
func (p *process) untilVersion(w *numberer, version string) {
	p.t.Helper()
	p.until("records of version "+version, func() bool {
		w.write(3)
		events, _ := oracle.Unpack(p.output())
		return strings.HasSuffix(versions(p.t, events), version)
	})
}

// end stops Fluent Bit once all records have come out, and returns the versions.
func (p *process) end(w *numberer) string {
	p.t.Helper()
	p.untilEvents(w.n)
	p.stop()
	if n := len(p.events()); n != w.n {
		p.t.Errorf("%d records, want %d", n, w.n)
	}
	return versions(p.t, p.events())
}

// A module that can't be started ends a start, unless on_start_error is passthrough: then its records
// follow on_error until its file changes.
func TestBrokenModuleAtStart(t *testing.T) {
	good := guests.Version("A")
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		for name, broken := range map[string]string{"half": good[:len(good)/2], "start": strings.Replace(good, `(func (export`, `(start $fails) (func $fails unreachable) (func (export`, 1), "missing": ""} {
			t.Run(name, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "guest.wat")
				if broken != "" {
					writeFile(t, path, broken)
				}
				run := fb.start(t, pipeline{inputs: []plugin{{name: "dummy"}}, filters: []plugin{filterOf(path)}})
				if code := run.wait(); code == 0 || run.logLine("wasmtime.0", path) == "" {
					t.Errorf("on_start_error fail: exit code = %d", code)
				}

				w := newNumberer(t)
				w.write(10)
				without := []string{"on_start_error", "passthrough", "reload_interval", "50ms"}
				run = fb.start(t, pipeline{inputs: []plugin{w.input()}, filters: []plugin{filterOf(path, without...), filterOf(guest(t, "identity"))}})
				run.untilEvents(10)
				replaceFile(t, path, good)
				run.untilVersion(w, "A")
				if got := run.end(w); got != "-A" {
					t.Errorf("records of versions %q", got)
				}
				for _, line := range []string{"there is no module until its file changes", "reloaded: module " + path, ": there is no module: it could not be started)"} {
					if run.logLine("wasmtime.0", line) == "" {
						t.Errorf("no line with %q", line)
					}
				}
			})
		}
		t.Run("drop", func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "guest.wat")
			run, events := fb.finish(t, pipeline{
				inputs:  []plugin{tailInput(linesFile(t, numbered(10)...), "json")},
				filters: []plugin{filterOf(path, "on_start_error", "passthrough", "on_error", "drop")},
			})
			if len(events) > 0 || run.logLine("10 records: 0 returned, 0 dropped by the guest, 10 failed") == "" {
				t.Errorf("%d events", len(events))
			}
		})
	})
}

// reload has Fluent Bit read its configuration again.
func (p *process) reload(way, port string) {
	p.t.Helper()
	if way == "HTTP" {
		r, err := http.Post("http://127.0.0.1:"+port+"/api/v2/reload", "application/json", strings.NewReader("{}"))
		if err != nil {
			return // it is between two configurations
		}
		r.Body.Close()
		if r.StatusCode == http.StatusOK {
			return
		}
		// After a reload that was halted, Fluent Bit up to 3.2 answers for good that one is in progress. A
		// signal is taken all the same.
	}
	p.cmd.Process.Signal(syscall.SIGHUP)
}

// A module that can't be started does not take the place of one that runs at a hot reload, whatever
// on_start_error says, and a mended one does.
func TestHotReloadOfBrokenModule(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		for _, way := range []string{"SIGHUP", "HTTP"} {
			for _, onStartError := range []string{"fail", "passthrough"} {
				t.Run(way+" "+onStartError, func(t *testing.T) {
					dir := t.TempDir()
					port := freePort(t)
					path := filepath.Join(dir, "guest.wat")
					writeFile(t, path, guests.Version("A"))
					w := newNumberer(t)
					p := reloadable(t, fb, filterOf(path, "on_start_error", onStartError))
					p.service = append(p.service, "http_server", "on", "http_listen", "127.0.0.1", "http_port", port)
					p.inputs = []plugin{w.input()}
					p.filters = append(p.filters, filterOf(guest(t, "identity")))
					run := fb.exec(t, dir, "-e", pluginPath, "-Y", "-c", p.write(t, dir))
					run.untilVersion(w, "A")
					run.dial(port)
					text := guests.Version("B")
					replaceFile(t, path, text[:len(text)/2])
					run.reload(way, port)
					run.until("the refusal", func() bool {
						return run.logLine("eloading is halted") != "" || run.logLine("Failed pre_run callback") != ""
					})
					n := len(run.events())
					w.write(10)
					run.untilEvents(n + 10)
					replaceFile(t, path, text)
					var last time.Time
					run.until("records of the new version", func() bool {
						if time.Since(last) > 2*time.Second { // it refuses while it is not through with the last one
							last = time.Now()
							run.reload(way, port)
						}
						w.write(1)
						events, _ := oracle.Unpack(run.output())
						return strings.HasSuffix(versions(t, events), "B")
					})
					if got := run.end(w); got != "AB" {
						t.Errorf("records of versions %q", got)
					}
				})
			}
		}
	})
}

// With reload_module versions take over while records flow, without a reload: good ones do, those that
// can't start or fail on what went through before don't, and one that fails later is taken back.
func TestReloadModule(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		for _, workers := range []string{"1", "2"} {
			t.Run(workers+" workers", func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "guest.wat")
				writeFile(t, path, guests.Version("A"))
				w := newNumberer(t)
				run := fb.start(t, pipeline{inputs: []plugin{w.input()}, filters: []plugin{
					filterOf(path, "reload_module", "on", "reload_interval", "20ms", "breaker_failures", "5", "workers", workers),
					filterOf(guest(t, "identity"))}})
				refused := func(text, why string) {
					t.Helper()
					replaceFile(t, path, text)
					run.until("the refusal: "+why, func() bool {
						w.write(3)
						return run.logLine("wasmtime.0", "reload refused: ", why, " goes on") != ""
					})
				}
				run.untilVersion(w, "A")
				for _, version := range []string{"B", "C", "D"} {
					replaceFile(t, path, guests.Version(version))
					run.untilVersion(w, version)
				}
				text := guests.Version("E")
				refused(text[:len(text)/2], "is not valid WebAssembly text")
				traps := strings.Replace(text, "(memory.copy", "unreachable (memory.copy", 1)
				refused(traps, "reload_probe: ")
				// It traps on records that come later.
				later := strings.Replace(text, "(memory.copy", "(if (i32.gt_u (local.get $record_len) (i32.const 100)) (then unreachable)) (memory.copy", 1)
				replaceFile(t, path, later)
				run.untilVersion(w, "E")
				line := fmt.Sprintf("{\"n\":%%d,\"text\":%q}\n", strings.Repeat("x", 100))
				for range 200 {
					if _, err := fmt.Fprintf(w.file, line, w.n); err != nil {
						t.Fatal(err)
					}
					w.n++
				}
				run.until("the older version", func() bool {
					w.write(1)
					return run.logLine("wasmtime.0", "taken back: module "+path) != ""
				})
				run.untilVersion(w, "D")
				got := run.end(w)
				if got != "ABCDE-D" {
					t.Errorf("records of versions %q", got)
				}
				if n := strings.Count(run.log.String(), "reloaded: module "); n != 4 {
					t.Errorf("%d lines of reloads", n)
				}
			})
		}
	})
}
