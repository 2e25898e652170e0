package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	module "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/emulator"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/fluentbit"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// numbered are n lines of JSON.
func numbered(n int) []string {
	var lines []string
	for i := range n {
		lines = append(lines, fmt.Sprintf(`{"n":%d}`, i))
	}
	return lines
}

// numberedBodies are the records of numbered lines.
func numberedBodies(n int) []any {
	var all []any
	for i := range n {
		all = append(all, map[string]any{"n": oracle.Integer(fmt.Sprint(i))})
	}
	return all
}

func TestFiltersInARow(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		for _, yaml := range []bool{false, true} {
			t.Run(fmt.Sprintf("yaml_%v", yaml), func(t *testing.T) {
				if yaml {
					needYAML(t, fb)
				}
				_, events := fb.finish(t, pipeline{
					inputs: []plugin{tailInput(linesFile(t, numbered(30)...), "json")},
					filters: []plugin{
						filterOf(guest(t, "wrap")),
						filterOf(guest(t, "spaced"), "alias", "again"),
						{name: "modify", options: []string{"match", "*", "add", "seen yes"}},
						filterOf(guest(t, "wrap"), "event_format", "json"),
					},
					yaml: yaml,
				})
				if len(events) != 30 {
					t.Fatalf("%d events, want 30", len(events))
				}
				for i, e := range events {
					outer := e.Body.(map[string]any)
					inner, _ := outer["record"].(map[string]any)
					if outer["tag"] != "app" || inner["seen"] != "yes" || inner["tag"] != "app" {
						t.Fatalf("record %d is %v", i, outer)
					}
					if diff := cmp.Diff(numberedBodies(30)[i], inner["record"]); diff != "" {
						t.Fatalf("record %d (-want +got):\n%s", i, diff)
					}
				}
			})
		}
	})
}

// checkOneRecord takes one record through the filters, in either form of configuration, and compares
// what comes out.
func checkOneRecord(t *testing.T, fb fluentBit, want map[string]any, filters ...plugin) {
	t.Helper()
	for _, yaml := range []bool{false, true} {
		t.Run(fmt.Sprintf("yaml_%v", yaml), func(t *testing.T) {
			if yaml {
				needYAML(t, fb)
			}
			_, events := fb.finish(t, pipeline{
				inputs:  []plugin{tailInput(linesFile(t, numbered(1)...), "json")},
				filters: filters,
				yaml:    yaml,
			})
			if len(events) != 1 {
				t.Fatalf("%d events, want 1", len(events))
			}
			if diff := cmp.Diff(want, events[0].Body); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// An option that is set several times in a row, in YAML as a list, has all of these values.
func TestRepeatedOption(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		checkOneRecord(t, fb, map[string]any{"env": "A=1 B=x,y C=1 D=2 "},
			filterOf(guest(t, "environment"), "env", "A=1", "env", "B=x,y", "env", "C=1,D=2"))
	})
}

// config.KEY and config_file reach the module. One that refuses its configuration stops the start.
func TestConfigOfModule(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		configured, file := guest(t, "configured"), filepath.Join(t.TempDir(), "config.json")
		writeFile(t, file, `{"greeting":"hi","other":[1]}`)
		yaml := filepath.Join(t.TempDir(), "config.yaml")
		writeFile(t, yaml, "greeting: &a hi\nother: [*a]\n")
		checkOneRecord(t, fb, map[string]any{"config": "hello, world"},
			filterOf(configured, "config_file", yaml),
			filterOf(configured, "config_file", file),
			filterOf(guest(t, "wrap")),
			filterOf(configured, "config.greeting", "hello, world", "config.other", "x", "config_file", file))
	})
}

// What the instances of a filter count is exact, though they are several, and some trap. The log has
// it at the end.
func TestStateOfModule(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		for _, yaml := range []bool{false, true} {
			t.Run(fmt.Sprintf("yaml_%v", yaml), func(t *testing.T) {
				if yaml {
					needYAML(t, fb)
				}
				const each = 30 // records with each digit, of which those with 7 trap
				run, events := fb.finish(t, pipeline{
					inputs:  []plugin{tailInput(linesFile(t, numbered(10*each)...), "json")},
					filters: []plugin{filterOf(guest(t, "counts_in_store"), "workers", "2", "store_limit", "1M")},
					yaml:    yaml,
				})
				got, want := map[string]int{}, map[string]int{}
				for _, body := range bodies(events) {
					got[fmt.Sprint(body)]++
				}
				for n := range each {
					for digit := range 10 {
						text := fmt.Sprintf("map[count:%d digit:%d]", n+1, digit)
						if digit == 7 {
							text = fmt.Sprintf("map[n:%d]", 10*n+digit)
						}
						want[text] = 1
					}
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("records (-want +got):\n%s", diff)
				}
				for digit := range 10 {
					if run.logLine("[ info]", "counter seen_total: {", fmt.Sprintf(`{digit="%d"} %d`, digit, each)) == "" {
						t.Errorf("the log does not say how often %d was there", digit)
					}
				}
				if run.logLine("[ info]", "store: 10 keys, ", "; 0 calls refused") == "" {
					t.Error("the log does not say what was in the store")
				}
			})
		}
	})
}

// Instances have their own guests, options and state.
func TestSeveralInstances(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		input := func(tag string) plugin {
			return plugin{name: "dummy", options: []string{"tag", tag, "rate", "50", "samples", "10", "dummy", `{"a":1}`}}
		}
		running := func(match, name string, more ...string) plugin {
			return plugin{name: "wasmtime", options: append([]string{
				"match", match, "wasm_path", guest(t, name), "function_name", "filter"}, more...)}
		}
		run := fb.start(t, pipeline{
			inputs: []plugin{input("one"), input("two"), input("three"), input("four")},
			filters: []plugin{
				running("one", "call_counter"), running("two", "call_counter"),
				running("three", "drop"), running("four", "msgpack_identity", "event_format", "msgpack"),
			},
		})
		run.untilEvents(30)
		run.stop()
		got := map[string]int{}
		for _, body := range bodies(run.events()) {
			got[fmt.Sprint(body)]++
		}
		want := map[string]int{"map[a:1]": 10}
		for n := 1; n <= 10; n++ {
			want[fmt.Sprintf("map[calls:%d]", n)] = 2
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("records (-want +got):\n%s", diff)
		}
	})
}

// Fluent Bit shows the options with their descriptions and defaults.
func TestHelp(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		run := fb.exec(t, t.TempDir(), "-e", pluginPath, "-F", "wasmtime", "-h")
		run.wait()
		help := fluentbit.Plain(run.log.String())
		words := strings.Join(strings.Fields(help), " ")
		for _, o := range options.Table {
			if !strings.Contains(words, o.Name+" "+strings.Join(strings.Fields(o.Help), " ")) {
				t.Errorf("option %s with its description is missing", o.Name)
			}
			if o.Default == "" {
				continue
			}
			_, rest, _ := strings.Cut(help, o.Name)
			if before, _, _ := strings.Cut(rest, "default: "+o.Default); len(before) == len(rest) {
				t.Errorf("option %s: no default %s", o.Name, o.Default)
			}
		}
		if t.Failed() {
			t.Log(help)
		}
	})
}

// logTries is how often a Fluent Bit that refuses its configuration is started:
// 1.9 may end before its log thread has written why.
const logTries = 10

// Configurations that can't be right end Fluent Bit with a message that names
// the filter, the option, the value and what is allowed.
func TestRefusedOptions(t *testing.T) {
	identity := guest(t, "identity")
	compiled := filepath.Join(t.TempDir(), "identity.cwasm")
	if _, err := module.Compile(identity, compiled, module.CompileConfig{}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		options []string
		log     []string
	}{
		{"unknown", []string{"wasm_path", identity, "function_name", "filter", "wasm_pth", "x"},
			[]string{"unknown configuration property 'wasm_pth'"}},
		{"twice", []string{"wasm_path", identity, "function_name", "filter", "function_name", "filter"},
			[]string{"'function_name' is set 2 times"}},
		{"event_format", []string{"wasm_path", identity, "function_name", "filter", "event_format", "yaml"},
			[]string{"wasmtime.0", "event_format", "yaml", "json", "msgpack"}},
		{"size", []string{"wasm_path", identity, "function_name", "filter", "memory_limit", "lots"},
			[]string{"wasmtime.0", "memory_limit", "lots", "allowed"}},
		{"configuration", []string{"wasm_path", guest(t, "configured"), "function_name", "filter", "config.greetings", "x"},
			[]string{"wasmtime.0", "it refuses its configuration", "greeting: it must be set"}},
		{"grant", []string{"wasm_path", guest(t, "counts_in_store"), "function_name", "filter", "metrics_series", "0"},
			[]string{"wasmtime.0", "flb_v1.store_add", "not granted", "store_limit", "flb_v1.metric_define", "metrics_series is 0"}},
		{"table", []string{"wasm_path", guest(t, "lookup"), "function_name", "filter", "table.t", "/nowhere/t.csv"},
			[]string{"wasmtime.0", "option table.t: /nowhere/t.csv: ", "no such file"}},
		{"no table", []string{"wasm_path", guest(t, "lookup"), "function_name", "filter"},
			[]string{"wasmtime.0", "flb_v1.table_open", "set table.NAME PATH"}},
		{"path", []string{"wasm_path", "/nowhere/guest.wasm", "function_name", "filter"},
			[]string{"wasmtime.0", "wasm_path", "/nowhere/guest.wasm"}},
		{"machine code", []string{"wasm_path", compiled, "function_name", "filter"},
			[]string{"wasmtime.0", compiled, "allow_precompiled"}},
		{"init_function", []string{"wasm_path", identity, "function_name", "filter", "init_function", "absent"},
			[]string{"wasmtime.0", "init_function", "absent"}},
		{"no path", []string{"function_name", "filter"}, []string{"wasmtime.0", "wasm_path", "not set"}},
		{"function", []string{"wasm_path", identity, "function_name", "absent"},
			[]string{"wasmtime.0", "function_name", "absent"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachFluentBit(t, func(t *testing.T, fb fluentBit) {
				p := pipeline{
					inputs:  []plugin{{name: "dummy"}},
					filters: []plugin{{name: "wasmtime", options: append([]string{"match", "*"}, c.options...)}},
				}
				for range logTries {
					run := fb.start(t, p)
					if code := run.wait(); code <= 0 {
						t.Fatalf("exit code = %d, want an error", code)
					}
					if run.logLine(c.log...) != "" {
						return
					}
				}
				t.Errorf("no log line with %q", c.log)
			})
		})
	}
}

func TestTrapLosesNothing(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		run, events := fb.finish(t, pipeline{
			inputs:  []plugin{tailInput(linesFile(t, numbered(300)...), "json")},
			filters: []plugin{filterOf(guest(t, "trap_every_third"))},
		})
		if diff := cmp.Diff(numberedBodies(300), bodies(events)); diff != "" {
			t.Errorf("records (-want +got):\n%s", diff)
		}
		if run.logLine("[error]", "wasmtime.0") == "" {
			t.Error("the log says nothing of traps")
		}
		// 100 traps are not 100 lines.
		if n := strings.Count(run.log.String(), "[error]"); n > 20 {
			t.Errorf("%d errors in the log for 100 traps", n)
		}
	})
}

// Dropping everything, and every other record.
func TestDrop(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		input := tailInput(linesFile(t, numbered(100)...), "json")
		_, events := fb.finish(t, pipeline{inputs: []plugin{input}, filters: []plugin{filterOf(guest(t, "drop"))}})
		if len(events) != 0 {
			t.Errorf("%d events, want none", len(events))
		}
		_, events = fb.finish(t, pipeline{inputs: []plugin{input}, filters: []plugin{filterOf(guest(t, "drop_every_other"))}})
		if len(events) != 50 {
			t.Errorf("%d events, want 50", len(events))
		}
	})
}

// What guests print is in the log of Fluent Bit, unless log_level leaves it out.
func TestGuestOutputAndLogLevel(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		input := tailInput(linesFile(t, numbered(3)...), "json")
		for _, c := range []struct {
			level   string
			printed bool
		}{{"info", true}, {"error", false}} {
			run, events := fb.finish(t, pipeline{
				inputs:  []plugin{input},
				filters: []plugin{filterOf(guest(t, "wasi_print"), "log_level", c.level, "alias", "printing")},
			})
			if len(events) != 3 {
				t.Errorf("%d events, want 3", len(events))
			}
			if line := run.logLine("hello from the guest"); (line != "") != c.printed {
				t.Errorf("log_level %s: what the guest printed: %q", c.level, line)
			}
			if c.printed && run.logLine("printing", "hello from the guest") == "" {
				t.Error("the line does not name the filter")
			}
			if c.level == "error" && run.logLine("[ info]", "printing") != "" {
				t.Error("log_level error shows info")
			}
		}
	})
}

// A version without the built-in wasm filter can use the plugin under its name. Where the
// built-in filter exists, it is what runs, and works as it does without the plugin.
func TestNameOfTheBuiltIn(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		dir := t.TempDir()
		f := filterOf(binary(t, "wrap"))
		f.name = "wasm"
		p := pipeline{inputs: []plugin{tailInput(linesFile(t, numbered(3)...), "json")}, filters: []plugin{f}}
		run := fb.exec(t, dir, "-e", wasmPath, "-c", p.write(t, dir))
		if code := run.wait(); code != 0 {
			t.Fatalf("exit code = %d", code)
		}
		events := run.events()
		if len(events) != 3 {
			t.Fatalf("%d events, want 3", len(events))
		}
		for i, e := range events {
			if diff := cmp.Diff(numberedBodies(3)[i], e.Body.(map[string]any)["record"]); diff != "" {
				t.Errorf("record %d (-want +got):\n%s", i, diff)
			}
		}
		own := run.logLine("[filter:wasm:wasm.0]", "module ") != ""
		if builtIn := fb.has("Filters", "wasm"); own == builtIn {
			t.Errorf("run by the plugin: %v, with a built-in filter of that name: %v", own, builtIn)
		}
	})
}

// A pipeline with the built-in wasm filter is reloaded beside the plugin as without it.
func TestBuiltInReloads(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		if !fb.has("Filters", "wasm") {
			t.Skip("this Fluent Bit has no built-in wasm filter")
		}
		for _, object := range []string{pluginPath, wasmPath} {
			dir := t.TempDir()
			f := filterOf(binary(t, "wrap"))
			f.name = "wasm"
			p := reloadable(t, fb, f)
			run := fb.exec(t, dir, "-e", object, "-c", p.write(t, dir))
			run.untilEvents(1)
			p.inputs[0].options[1] = "new"
			p.write(t, dir)
			run.cmd.Process.Signal(syscall.SIGHUP)
			run.until("records of the new pipeline", func() bool {
				events, _ := oracle.Unpack(run.output())
				return len(events) > 0 && events[len(events)-1].Body.(map[string]any)["tag"] == "new"
			})
			run.stop()
		}
	})
}

// SIGHUP and SIGCONT make Fluent Bit take the signals that traps are made of.
func TestTrapsAfterSignals(t *testing.T) {
	emulator.Skip(t, "qemu 7.2 keeps 25 MB for each of a thousand guests that are given up")
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		if !strings.Contains(fb.help, "hot-reload") {
			// There SIGHUP ends Fluent Bit, as SIGTERM does.
			t.Skip("this Fluent Bit does not take its signals again")
		}
		run := fb.start(t, pipeline{
			inputs: []plugin{{name: "dummy", options: []string{"tag", "app", "rate", "200", "dummy", `{"n":1}`}}},
			filters: []plugin{
				filterOf(guest(t, "oob_store"), "breaker_failures", "0"),
				filterOf(guest(t, "div_by_zero"), "breaker_failures", "0"),
				filterOf(guest(t, "stack_overflow"), "breaker_failures", "0"),
			},
		})
		n := 0
		for range 5 {
			n = len(run.untilEvents(n + 50))
			for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGCONT} {
				run.cmd.Process.Signal(s)
			}
		}
		run.untilEvents(n + 50)
		run.stop()
	})
}

// reloadable is a pipeline that can be reloaded, with a filter. A Fluent Bit that can't reload skips
// the test.
func reloadable(t *testing.T, fb fluentBit, filter plugin) pipeline {
	t.Helper()
	if !strings.Contains(fb.help, "hot-reload") {
		t.Skip("this Fluent Bit has no hot reload")
	}
	return pipeline{
		service: []string{"hot_reload", "on"},
		inputs:  []plugin{{name: "dummy", options: []string{"tag", "app", "rate", "50", "dummy", `{"n":1}`}}},
		filters: []plugin{filter},
	}
}

// After a hot reload the new configuration counts, in the same process.
func TestHotReload(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		dir := t.TempDir()
		p := reloadable(t, fb, filterOf(guest(t, "call_counter")))
		run := fb.exec(t, dir, "-e", pluginPath, "-c", p.write(t, dir))
		has := func(key string) func() bool {
			return func() bool {
				events, _ := oracle.Unpack(run.output())
				return len(events) > 0 && events[len(events)-1].Body.(map[string]any)[key] != nil
			}
		}
		for _, next := range []struct{ guest, key string }{{"wrap", "record"}, {"call_counter", "calls"}, {"wrap", "tag"}} {
			run.untilEvents(1)
			if err := os.Truncate(outPath(dir), 0); err != nil {
				t.Fatal(err)
			}
			p.filters = []plugin{filterOf(guest(t, next.guest))}
			p.write(t, dir)
			run.cmd.Process.Signal(syscall.SIGHUP)
			run.until("records of the guest "+next.guest, has(next.key))
		}
		run.stop()
	})
}

// A new configuration with a filter that would not start leaves the old one running; a good
// one after it is taken.
func TestHotReloadOfBadFilters(t *testing.T) {
	for _, c := range []struct {
		name string
		bad  plugin
	}{
		{"no module", filterOf("/nowhere/guest.wasm")},
		{"option", filterOf(guest(t, "identity"), "timeout", "abc")},
		{"another hash", filterOf(guest(t, "identity"), "wasm_sha256", strings.Repeat("0", 64))},
		{"import", filterOf(guest(t, "unknown_import"))},
		{"start function", filterOf(guest(t, "start_traps"), "init_function", "_start")},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachFluentBit(t, func(t *testing.T, fb fluentBit) { reloadOfBadFilters(t, fb, "", c.bad) })
		})
	}
}

// The emitter of a filter is made when that starts, and is looked at before.
func TestHotReloadOfBadEmitters(t *testing.T) {
	routes := func(more ...string) plugin {
		return filterOf(guest(t, "route"), append([]string{"emit_tags", "out.*"}, more...)...)
	}
	for _, c := range []struct {
		name   string
		bad    []plugin
		reason string
	}{
		{"no storage", []plugin{routes("emitter_storage.type", "filesystem")}, "emitter_storage.type filesystem needs storage.path of the service, which is not set"},
		{"one name", []plugin{routes("emitter_name", "em"), filterOf(guest(t, "identity")), routes("emitter_name", "em")},
			"filter wasmtime.0, which comes before, has an emitter em already"},
		{"one alias", []plugin{routes("alias", "one"), routes("alias", "one")}, "filter one, which comes before, has an emitter emitter_for_one already"},
		{"rewrite_tag", []plugin{{name: "rewrite_tag", options: []string{"match", "none", "rule", "$n ^x$ x false", "emitter_name", "em"}}, routes("emitter_name", "em")},
			"filter rewrite_tag.0, which comes before, has an emitter em already"},
		{"an input", []plugin{routes("emitter_name", "dummy.0")}, "there is an input dummy.0 already"},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachFluentBit(t, func(t *testing.T, fb fluentBit) {
				if !fb.takesEvents(t) {
					t.Skip("this Fluent Bit does not take events under other tags")
				}
				reloadOfBadFilters(t, fb, c.reason, c.bad...)
			})
		})
	}
}

// A reload takes an emitter with files where the service has storage, wherever its path stands in that Fluent Bit.
func TestHotReloadOfStorage(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		if !fb.takesEvents(t) {
			t.Skip("this Fluent Bit does not take events under other tags")
		}
		dir := t.TempDir()
		p := reloadable(t, fb, filterOf(guest(t, "identity")))
		run := fb.exec(t, dir, "-e", pluginPath, "-c", p.write(t, dir))
		run.untilEvents(1)
		p.service = append(p.service, "storage.path", filepath.Join(dir, "storage"))
		p.filters = []plugin{filterOf(guest(t, "route"), "emit_tags", "out.*", "emitter_storage.type", "filesystem"),
			{name: "modify", options: []string{"match", "out.*", "add", "went on"}}}
		p.write(t, dir)
		run.cmd.Process.Signal(syscall.SIGHUP)
		run.until("events by an emitter with files", func() bool {
			return run.logLine("emitter_for_wasmtime.0", "storage_strategy='filesystem'") != "" && strings.Contains(string(run.output()), "went")
		})
		run.stop()
	})
}

// reloadOfBadFilters reloads with filters of which one would not start, with that reason in the log, and then with a
// good one.
func reloadOfBadFilters(t *testing.T, fb fluentBit, reason string, bad ...plugin) {
	dir := t.TempDir()
	p := reloadable(t, fb, filterOf(guest(t, "call_counter")))
	run := fb.exec(t, dir, "-e", pluginPath, "-c", p.write(t, dir))
	last := func() map[string]any {
		events, _ := oracle.Unpack(run.output())
		if len(events) == 0 {
			return nil
		}
		return events[len(events)-1].Body.(map[string]any)
	}
	calls := func() int {
		n, _ := strconv.Atoi(fmt.Sprint(last()["calls"]))
		return n
	}
	reload := func(filters ...plugin) {
		p.filters = filters
		p.write(t, dir)
		run.cmd.Process.Signal(syscall.SIGHUP)
	}
	run.until("records", func() bool { return calls() > 0 })
	reload(bad...)
	run.until("the end of the reload", func() bool {
		// Now and then one of the two lines is not in the log.
		return run.logLine("eloading is halted") != "" || run.logLine("Failed pre_run callback") != ""
	})
	run.until("the reason", func() bool { return run.logLine(reason) != "" })
	n := calls()
	run.until("more records of the old pipeline", func() bool { return calls() > n })

	// A signal that comes before Fluent Bit has noted the end of the last reload is refused.
	refused := 0
	reload(filterOf(guest(t, "wrap")))
	run.until("records of the good configuration", func() bool {
		if n := strings.Count(run.log.String(), "reloading in progress"); n > refused {
			refused = n
			run.cmd.Process.Signal(syscall.SIGHUP)
		}
		return last()["record"] != nil
	})
	run.stop()
}

// --dry-run finds what a start would refuse, in a Fluent Bit that asks filters at all: as it
// does where it refuses a script of lua's that is not there.
func TestDryRun(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		dryRun := func(f plugin) (*process, int) {
			dir := t.TempDir()
			p := pipeline{inputs: []plugin{{name: "dummy"}}, filters: []plugin{f}}
			run := fb.exec(t, dir, "-e", pluginPath, "-c", p.write(t, dir), "--dry-run")
			return run, run.wait()
		}
		lua := plugin{name: "lua", options: []string{"match", "*", "script", "/nowhere/x.lua", "call", "f"}}
		if !fb.has("Filters", "lua") {
			t.Skip("this Fluent Bit has no lua filter")
		}
		if _, code := dryRun(lua); code == 0 {
			t.Skip("this Fluent Bit asks no filter at --dry-run")
		}
		if _, code := dryRun(filterOf(guest(t, "identity"))); code != 0 {
			t.Errorf("exit code for a good filter = %d", code)
		}
		for _, bad := range []plugin{
			filterOf("/nowhere/guest.wasm"),
			filterOf(guest(t, "identity"), "timeout", "abc"),
			filterOf(guest(t, "identity"), "wasm_sha256", strings.Repeat("0", 64)),
			filterOf(guest(t, "unknown_import")),
		} {
			if run, code := dryRun(bad); code == 0 || run.logLine("wasmtime.0") == "" {
				t.Errorf("%v: exit code = %d", bad.options, code)
			}
		}
	})
}
