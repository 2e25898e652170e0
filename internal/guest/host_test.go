package guest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
)

// hostGuest has a page of texts at 1024, and a body for filter, whose result it replies with as a
// number.
func hostGuest(data, body string) string {
	return `(module
  (import "flb_v1" "log" (func $log (param i32 i32 i32)))
  (import "flb_v1" "log_enabled" (func $enabled (param i32) (result i32)))
  (import "flb_v1" "config_get" (func $get (param i32 i32 i32 i32) (result i32)))
  (import "flb_v1" "config_count" (func $count (result i32)))
  (import "flb_v1" "config_key" (func $key (param i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 1024) "` + data + `")
  ` + answer + `
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (call $answer ` + body + `)))`
}

func TestConfigOfGuest(t *testing.T) {
	settings := []Setting{{"a.key", "value, of any kind\n"}, {"empty", ""}, {"z", "1"}}
	for _, test := range []struct {
		name, data, body string
		want             uint32
	}{
		{"count", "", "(call $count)", 3},
		{"length", "A.KEY", "(call $get (i32.const 1024) (i32.const 5) (i32.const 0) (i32.const 0))", 19},
		{"value", "a.key", `(i32.add (call $get (i32.const 1024) (i32.const 5) (i32.const 2048) (i32.const 19))
			(i32.shl (i32.load8_u (i32.const 2065)) (i32.const 8)))`, 19 + 'd'<<8},
		{"room for less", "a.key", `(i32.add (call $get (i32.const 1024) (i32.const 5) (i32.const 2048) (i32.const 18))
			(i32.load (i32.const 2048)))`, 19},
		{"empty", "empty", "(call $get (i32.const 1024) (i32.const 5) (i32.const 131072) (i32.const 0))", 0},
		{"not set", "emptY ", "(call $get (i32.const 1024) (i32.const 6) (i32.const 0) (i32.const 0))", 1<<32 - 1},
		{"no key", "", "(call $get (i32.const 131072) (i32.const 0) (i32.const 0) (i32.const 0))", 1<<32 - 1},
		{"name", "", `(i32.add (call $key (i32.const 2) (i32.const 2048) (i32.const 9)) (i32.shl (i32.load8_u (i32.const 2048)) (i32.const 8)))`, 1 + 'z'<<8},
		{"no name", "", "(call $key (i32.const 3) (i32.const 2048) (i32.const 9))", 1<<32 - 1},
	} {
		in := instantiate(t, hostGuest(test.data, test.body), Config{Msgpack: true, Settings: settings})
		for range 2 {
			if got := number(t, in, "\x80"); got != test.want {
				t.Errorf("%s: %d, want %d", test.name, got, test.want)
			}
		}
	}
}

// What a guest says of its memory is checked.
func TestHostFunctionsOutsideMemory(t *testing.T) {
	for _, body := range []string{
		"(call $get " + atEnd(1) + " (i32.const 2) (i32.const 0) (i32.const 0))",
		"(call $get (i32.const -1) (i32.const -1) (i32.const 0) (i32.const 0))",
		"(call $get (i32.const 1024) (i32.const 1) " + atEnd(0) + " (i32.const 1))",
		"(call $get (i32.const 1024) (i32.const 1) (i32.const 1) (i32.const -1))",
		"(call $key (i32.const 0) " + atEnd(2) + " (i32.const 3))",
		"(block (result i32) (call $log (i32.const 1) " + atEnd(2) + " (i32.const 3)) (i32.const 0))",
		"(block (result i32) (call $log (i32.const 1) (i32.const -1) (i32.const -1)) (i32.const 0))",
	} {
		m := load(t, hostGuest("a", body))
		trap := trapOf(t, m, Config{Settings: []Setting{{"a", "1"}}}, "{}")
		if !strings.Contains(trap.Reason, "outside memory") {
			t.Errorf("%s: %v", body, trap)
		}
	}
	for _, level := range []int{0, 6, -1} {
		m := load(t, hostGuest("", fmt.Sprintf("(block (result i32) (call $log (i32.const %d) (i32.const 0) (i32.const 0)) (i32.const 0))", level)))
		if trap := trapOf(t, m, Config{}, "{}"); !strings.Contains(trap.Reason, "there is no level") {
			t.Errorf("level %d: %v", level, trap)
		}
	}
}

func TestLogOfGuest(t *testing.T) {
	body := `(block (result i32)
		(call $log (i32.const 1) (i32.const 1024) (i32.const 5))
		(call $log (i32.const 4) (i32.const 1029) (i32.const 5))
		(call $log (i32.const 2) (i32.const 1029) (i32.const 0))
		(call $log (i32.const 5) (i32.const 1024) (i32.const 5))
		(i32.add (i32.add (call $enabled (i32.const 4)) (i32.shl (call $enabled (i32.const 5)) (i32.const 8)))
			(i32.shl (call $enabled (i32.const 1)) (i32.const 16))))`
	for level, want := range map[hostlog.Level][]LogLine{
		0:             {{hostlog.Error, "err\n1"}, {hostlog.Warn, ""}},
		hostlog.Off:   nil,
		hostlog.Debug: {{hostlog.Error, "err\n1"}, {hostlog.Debug, "debug"}, {hostlog.Warn, ""}},
	} {
		in := instantiate(t, hostGuest(`err\0a1debug`, body), Config{Msgpack: true, LogLevel: level})
		enabled := number(t, in, "\x80")
		if level == hostlog.Off {
			if enabled != 0 || in.HasOutput() {
				t.Errorf("off: enabled %d, output %v", enabled, in.HasOutput())
			}
			continue
		}
		if enabled>>16 != 1 || (enabled&0xffff == 1) != (level == hostlog.Debug) {
			t.Errorf("level %d: enabled %d", level, enabled)
		}
		if !in.HasOutput() {
			t.Error("nothing was logged")
		}
		lines, lost := in.TakeLog()
		if diff := cmp.Diff(want, lines); diff != "" || lost != 0 || in.HasOutput() {
			t.Errorf("level %d: %d lost, %s", level, lost, diff)
		}
	}

	// There is room for so many lines only.
	in := instantiate(t, hostGuest("", `(block (result i32) (local.set 0 (i32.const 10))
		(loop (call $log (i32.const 1) (i32.const 0) (i32.const 50000))
			(br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
		(i32.const 0))`), Config{Msgpack: true})
	number(t, in, "\x80")
	lines, lost := in.TakeLog()
	if len(lines) != 3 || lost != 7 || len(lines[0].Text) != 16<<10 {
		t.Errorf("%d lines, %d lost", len(lines), lost)
	}
}

// A guest may refuse its configuration, and is asked once for each instance.
func TestConfigure(t *testing.T) {
	text := func(configure string) string {
		return `(module
  (import "flb_v1" "config_get" (func $get (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1) (global $calls (mut i32) (i32.const 0))
  (data (i32.const 16) "level") (data (i32.const 1024) "level: want one of a, \1b[2Jb\00rest")
  (data (i32.const 65533) "end")
  ` + answer + configure + `
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (call $answer (global.get $calls))))`
	}
	good := text(`(func (export "flb_configure") (result i32)
		(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
		(select (i32.const 1024) (i32.const 0) (i32.eq (i32.const -1) (call $get (i32.const 16) (i32.const 5) (i32.const 0) (i32.const 0)))))`)
	in := instantiate(t, good, Config{Msgpack: true, Settings: []Setting{{"level", "a"}}})
	for range 2 {
		if n := number(t, in, "\x80"); n != 1 {
			t.Errorf("called %d times", n)
		}
	}
	for name, c := range map[string]struct{ text, want string }{
		"refused":        {good, `it refuses its configuration: "level: want one of a, \x1b[2Jb"`},
		"end of memory":  {text(`(func (export "flb_configure") (result i32) (i32.const 65533))`), `it refuses its configuration: "end"`},
		"outside memory": {text(`(func (export "flb_configure") (result i32) (i32.const 65536))`), "outside its memory"},
		"trap":           {text(`(func (export "flb_configure") (result i32) unreachable)`), "flb_configure failed: "},
		"type":           {text(`(func (export "flb_configure") (param i32) (result i32) (i32.const 0))`), `flb_configure has the type "func (i32) -> i32": it must be "func () -> i32"`},
		"no function":    {text(`(global (export "flb_configure") i32 (i32.const 0))`), "flb_configure has the type"},
	} {
		_, err := load(t, c.text).NewInstance(Config{Function: "filter"})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// A function that is not there is a start error that names what there is.
func TestUnknownHostFunction(t *testing.T) {
	_, err := load(t, `(module (import "flb_v1" "teleport" (func)) (import "flb_v1" "log" (func (param i32)))
  (memory (export "memory") 1)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 0)))`).NewInstance(Config{Function: "filter"})
	for _, want := range []string{"flb_v1.teleport", "this version of the plugin has config_count, config_get, config_key, ", "feature, ", "log, log_enabled",
		"flb_v1.log", "its type must be func (i32, i32, i32) -> ()"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
