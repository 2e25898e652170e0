package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/tables"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
)

// tableSet has a table called users.
func tableSet(t testing.TB, content string) *tables.Set {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users.json")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := tables.Open(tables.Config{Specs: []tables.Spec{{Name: "users", Path: path}}, LimitBytes: 1e6})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(set.Close)
	return set
}

// tableGuest has a page of texts at 1024, and a body for filter.
func tableGuest(data, body string) string {
	return `(module
  (import "flb_v1" "table_open" (func $open (param i32 i32) (result i32)))
  (import "flb_v1" "table_get" (func $get (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 1024) "` + data + `")
  ` + answer + `
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (call $answer ` + body + `)))`
}

// atEnd is so many bytes before the end of memory.
func atEnd(before int) string {
	return fmt.Sprintf("(i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const %d))", before)
}

func call(args ...string) string {
	for i, a := range args {
		if a[0] != '(' {
			args[i] = "(i32.const " + a + ")"
		}
	}
	return "(call $get " + strings.Join(args, " ") + ")"
}

func TestTablesOfGuest(t *testing.T) {
	set := tableSet(t, `{"ann":{"dept":"D7","n":5}}`)
	for _, test := range []struct {
		name, data, body string
		want             uint32
	}{
		{"open", "USERS", "(call $open (i32.const 1024) (i32.const 5))", 0},
		{"no table", "user", "(call $open (i32.const 1024) (i32.const 4))", 1<<32 - 1},
		{"length", "anndept", call("0", "1024", "3", "1027", "4", "2", "0", "0"), 2},
		{"all of it", "ann", call("0", "1024", "3", "0", "0", "0", "2048", "100"), 19},
		{"value", "anndept", "(i32.add " + call("0", "1024", "3", "1027", "4", "2", "2048", "2") + " (i32.shl (i32.load16_u (i32.const 2048)) (i32.const 8)))", 2 + 'D'<<8 + '7'<<16},
		{"MessagePack", "annn", "(i32.add " + call("0", "1024", "3", "1027", "1", "1", "2048", "9") + " (i32.shl (i32.load8_u (i32.const 2048)) (i32.const 8)))", 1 + 5<<8},
		{"no key", "bob", call("0", "1024", "3", "0", "0", "0", "0", "0"), 1<<32 - 1},
		{"no address", "ann", call("0", "1024", "3", "0", "0", "16", "0", "0"), 1<<32 - 1},
		{"no path", "annx", call("0", "1024", "3", "1027", "1", "0", "0", "0"), 1<<32 - 1},
		{"long key", "ann", call("0", "1024", "100000", "0", "0", "0", "0", "0"), 1<<32 - 1},
		{"long path", "ann", call("0", "1024", "3", "1024", "100000", "0", "0", "0"), 1<<32 - 1},
		{"up to the end", "ann", call("0", "1024", "3", atEnd(0), "0", "0", atEnd(19), "19"), 19},
	} {
		in := instantiate(t, tableGuest(test.data, test.body), Config{Msgpack: true, Tables: set})
		for range 2 {
			if got := number(t, in, "\x80"); got != test.want {
				t.Errorf("%s: %d, want %d", test.name, got, test.want)
			}
		}
	}
	for _, test := range []struct{ body, want string }{
		{call("0", atEnd(0), "1", "0", "0", "0", "0", "0"), "table_get: the text is outside memory"},
		{call("0", "1024", "-1", "0", "0", "0", "0", "0"), "table_get: the text is outside memory"},
		{call("0", "0", "0", atEnd(1), "2", "0", "0", "0"), "table_get: the text is outside memory"},
		{call("0", "0", "0", "0", "0", "0", atEnd(2), "3"), "table_get: the buffer is outside memory"},
		{call("0", "0", "0", "0", "0", "0", "1", "-1"), "table_get: the buffer is outside memory"},
		{call("1", "0", "0", "0", "0", "0", "0", "0"), "table_get: there is no table 1"},
		{call("-1", "0", "0", "0", "0", "0", "0", "0"), "table_get: there is no table -1: table_open has not returned it"},
		{call("0", "0", "0", "0", "0", "3", "0", "0"), "table_get: there is no format 3"},
		{call("0", "0", "0", "0", "0", "32", "0", "0"), "table_get: there is no format 32"},
		{"(call $open " + atEnd(1) + " (i32.const 2))", "table_open: the text is outside memory"},
	} {
		trap := trapOf(t, load(t, tableGuest("ann", test.body)), Config{Tables: set}, "{}")
		if !strings.Contains(trap.Reason, test.want) {
			t.Errorf("%s: %v, want %q", test.body, trap, test.want)
		}
	}
}

// A module that needs tables does not start without, and one that does not is noticed.
func TestTablesAreGranted(t *testing.T) {
	lookup := load(t, guests.WAT("lookup"))
	_, err := lookup.NewInstance(Config{Function: "filter"})
	if want := "the module imports flb_v1.table_open: func (i32, i32) -> i32, flb_v1.table_get: func (i32, i32, i32, i32, i32, i32, i32, i32) -> i32, which is not granted: set table.NAME PATH"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
	set := tableSet(t, "{}")
	_, err = lookup.NewInstance(Config{Function: "filter", Tables: set})
	if want := `it refuses its configuration: "table.t: it must be set"`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
	if w := fmt.Sprint(lookup.Warnings(Config{Function: "filter", Tables: set})); strings.Contains(w, "tables are set") {
		t.Error(w)
	}
	if w := fmt.Sprint(load(t, guests.WAT("identity")).Warnings(Config{Function: "filter", Tables: set})); !strings.Contains(w, "tables are set, and the module imports no function") {
		t.Error(w)
	}
}
