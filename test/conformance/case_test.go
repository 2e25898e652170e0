package conformance

import (
	"bytes"
	"encoding/hex"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

const someGuest = "(module)\n"

func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct{ name, head, want string }{
		{"no rule", ";; refused: []\n", "does not say its rule"},
		{"neither", ";; A rule.\n", "neither a chunk nor refused"},
		{"both", ";; A rule.\n;; refused: []\n;; chunk: []\n;; out: []\n", "has no chunk"},
		{"no out", ";; A rule.\n;; chunk: []\n;; chunk: []\n;; out: []\n", "chunk 0: nothing is said"},
		{"out alone", ";; A rule.\n;; out: []\n", "it follows no chunk"},
		{"field", ";; A rule.\n;; refuse: []\n", "refuse: there is no such field"},
		{"twice", ";; A rule.\n;; refused: []\n;; refused: []\n", "refused is there twice"},
		{"text after fields", ";; A rule.\n;; refused: []\n;; More.\n", "is no field"},
		{"JSON", ";; A rule.\n;; refused: [\n", "refused: EOF"},
		{"more JSON", ";; A rule.\n;; refused: [] []\n", "something follows the value"},
		{"option of the runner", ";; A rule.\n;; options: {\"on_error\": \"drop\"}\n", "on_error is for who runs the case"},
		{"option's type", ";; A rule.\n;; options: {\"workers\": 1}\n", "workers: a text is expected"},
		{"event", ";; A rule.\n;; chunk: [{\"bdy\": {}}]\n", "there is no bdy in an event"},
		{"time", ";; A rule.\n;; chunk: [{\"time\": [1, 4294967296]}]\n", "value out of range"},
		{"group", ";; A rule.\n;; chunk: [{\"group\": \"begin\"}]\n", "start or end is expected"},
		{"event out of range", ";; A rule.\n;; chunk: [{}]\n;; out: [{\"event\": 1}]\n", "there is no event 1"},
		{"event and more", ";; A rule.\n;; chunk: [{}]\n;; out: [{\"event\": 0, \"body\": {}}]\n", "has nothing else"},
		{"failed and more", ";; A rule.\n;; chunk: [{}]\n;; out: [{\"failed\": 0, \"body\": {}}]\n", "there is no body in what has failed"},
		{"level", ";; A rule.\n;; log: [[\"warning\", \"x\"]]\n", "a level and parts of a line"},
		{"repeat", ";; A rule.\n;; not_log: [{\"$repeat\": [\"x\", -1]}]\n", "invalid number"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Parse("some-name", tt.head+someGuest); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error is %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := Parse("Name", ";; A rule.\n;; refused: []\n"); err == nil {
		t.Error("the name is taken")
	}
}

// What is packed is what a library reads.
func TestPack(t *testing.T) {
	c, err := Parse("some-name", `;; A rule
;; in two lines.
;; chunk: [{"time": [1, 2], "metadata": {"m": null},
;;   "body": {"n": [0, 127, 128, 255, 256, 65535, 65536, 4294967295, 4294967296, 18446744073709551615],
;;     "negative": [-1, -32, -33, -128, -129, -32768, -32769, -2147483648, -2147483649, -9223372036854775808],
;;     "float": [1.0, -2.5e3], "text": [{"$repeat": ["x", 31]}, {"$repeat": ["xy", 16]}, {"$repeat": ["x", 256]}, {"$repeat": ["x", 65536]}],
;;     "join": {"$join": ["a", {"$repeat": ["b", 2]}]}, "bool": [true, false], "hex": {"$hex": "c4 01 ff"}}},
;;   {"group": "start", "body": {"r": 1}}, {"group": "end"}, {"$hex": "92 01 80"}]
;; out: "unchanged"
(module)
`)
	if err != nil {
		t.Fatal(err)
	}
	if c.Rule != "A rule in two lines." {
		t.Errorf("the rule is %q", c.Rule)
	}
	n := func(text string) []any {
		var all []any
		for word := range strings.FieldsSeq(text) {
			all = append(all, oracle.Integer(word))
		}
		return all
	}
	want := map[string]any{
		"n":        n("0 127 128 255 256 65535 65536 4294967295 4294967296 18446744073709551615"),
		"negative": n("-1 -32 -33 -128 -129 -32768 -32769 -2147483648 -2147483649 -9223372036854775808"),
		"float":    []any{1.0, -2.5e3},
		"text":     []any{strings.Repeat("x", 31), strings.Repeat("x", 0) + strings.Repeat("xy", 16), strings.Repeat("x", 256), strings.Repeat("x", 65536)},
		"join":     "abb",
		"bool":     []any{true, false},
		"hex":      []byte{0xff},
	}
	events, err := oracle.Unpack(c.Chunks[0].Bytes())
	if err != nil || len(events) != 4 {
		t.Fatalf("%d events: %v", len(events), err)
	}
	if diff := cmp.Diff(any(want), events[0].Body); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	for i, want := range []string{
		"92d7000000000100000002" + "81a16dc0", "92d700ffffffff00000000" + "80", "92d700fffffffe00000000" + "80", "01",
	} {
		if got := hex.EncodeToString([]byte(events[i].Header)); got != want {
			t.Errorf("the header of event %d is %s, want %s", i, got, want)
		}
	}
	// The shortest form of each value: ugorji's is, too.
	if body := c.Chunks[0].Events[1].Body; !bytes.Equal(body, oracle.Pack(map[string]any{"r": 1})) {
		t.Errorf("the marker's body is % x", body)
	}
}

// A host that does wrong fails.
func TestCheck(t *testing.T) {
	c, err := Parse("some-name", `;; A rule.
;; chunk: [{"body": {"a": 1}}, {"body": {"a": 2}}]
;; out: [{"event": 0}, {"failed": 1, "text": ["why"]}]
;; chunk: [{"body": {"a": 3}}]
;; out: [{"body": {"b": [1], "a": 3}}]
;; log: [["warn", "one", "two"], ["info", "three"]]
;; not_log: ["four"]
`)
	if err != nil {
		t.Fatal(err)
	}
	event := func(body string) []byte {
		e, err := Parse("event", ";; A rule.\n;; chunk: ["+body+"]\n;; out: []\n")
		if err != nil {
			t.Fatal(err)
		}
		return e.Chunks[0].Bytes()
	}
	kept, failed, made := event(`{"body": {"a": 1}}`), event(`{"body": {"a": 2, "conformance_failed": "it says why"}}`), event(`{"body": {"b": [1], "a": 3}}`)
	log := []LogLine{{"warn", "x one x two x"}, {"debug", "more"}, {"info", "three"}}
	good := func() Result {
		return Result{Chunks: [][]byte{slices.Concat(kept, failed), made}, Log: slices.Clone(log)}
	}
	if problems := c.Check(good()); problems != nil {
		t.Fatal(problems)
	}
	joined := good()
	joined.Joined, joined.Chunks = true, [][]byte{slices.Concat(kept, failed, made)}
	if problems := c.Check(joined); problems != nil {
		t.Fatal(problems)
	}
	for name, change := range map[string]func(r *Result){
		"refused":          func(r *Result) { r.Refused = true },
		"no chunk":         func(r *Result) { r.Chunks = r.Chunks[:1] },
		"an event is lost": func(r *Result) { r.Chunks[0] = kept },
		"an event more":    func(r *Result) { r.Chunks[1] = slices.Concat(made, made) },
		"order":            func(r *Result) { r.Chunks[0] = slices.Concat(failed, kept) },
		"not failed":       func(r *Result) { r.Chunks[0] = slices.Concat(kept, event(`{"body": {"a": 2}}`)) },
		"failed": func(r *Result) {
			r.Chunks[0] = slices.Concat(event(`{"body": {"a": 1, "conformance_failed": "why"}}`), failed)
		},
		"another reason": func(r *Result) {
			r.Chunks[0] = slices.Concat(kept, event(`{"body": {"a": 2, "conformance_failed": "it just did"}}`))
		},
		"what failed is changed": func(r *Result) {
			r.Chunks[0] = slices.Concat(kept, event(`{"body": {"a": 3, "conformance_failed": "why"}}`))
		},
		"a value":          func(r *Result) { r.Chunks[1] = event(`{"body": {"b": [2], "a": 3}}`) },
		"a type":           func(r *Result) { r.Chunks[1] = event(`{"body": {"b": [1.0], "a": 3}}`) },
		"order of keys":    func(r *Result) { r.Chunks[1] = event(`{"body": {"a": 3, "b": [1]}}`) },
		"a key twice":      func(r *Result) { r.Chunks[1] = event(`{"body": {"b": [1], "a": 3, "a": 3}}`) },
		"time":             func(r *Result) { r.Chunks[1] = event(`{"time": [1, 2], "body": {"b": [1], "a": 3}}`) },
		"metadata":         func(r *Result) { r.Chunks[1] = event(`{"metadata": {"m": 1}, "body": {"b": [1], "a": 3}}`) },
		"bytes of a kept":  func(r *Result) { r.Chunks[0] = slices.Concat(event(`{"body": {"$hex": "de0001 a161 01"}}`), failed) },
		"cut":              func(r *Result) { r.Chunks[1] = made[:len(made)-1] },
		"no line":          func(r *Result) { r.Log = r.Log[:2] },
		"another level":    func(r *Result) { r.Log[0].Level = "info" },
		"order of lines":   func(r *Result) { slices.Reverse(r.Log) },
		"a line too many":  func(r *Result) { r.Log = append(r.Log, LogLine{"info", "four"}) },
		"unprintable line": func(r *Result) { r.Log = append(r.Log, LogLine{"info", "\x1b"}) },
	} {
		r := good()
		change(&r)
		if c.Check(r) == nil {
			t.Errorf("%s: no problem is found", name)
		}
	}

	refused, err := Parse("some-name", ";; A rule.\n;; refused: [\"one\", \"two\"]\n;; not_log: [\"ran\"]\n")
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]Result{
		"started":         {Message: "one two"},
		"another message": {Refused: true, Message: "two one"},
		"code has run":    {Refused: true, Message: "one two", Log: []LogLine{{"error", "ran"}}},
	} {
		if refused.Check(r) == nil {
			t.Errorf("%s: no problem is found", name)
		}
	}
	if problems := refused.Check(Result{Refused: true, Message: "x one x two"}); problems != nil {
		t.Error(problems)
	}
}

// README.md has the options that a host needs.
func TestOptions(t *testing.T) {
	all, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("there are no cases")
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(readme), "\n## Options\n")
	list, _, _ = strings.Cut(list, "\n## ")
	options := regexp.MustCompile("`" + `([a-z_]+)(?:\.[A-Z]+)?` + "`")
	known := map[string]bool{}
	for _, m := range options.FindAllStringSubmatch(list, -1) {
		known[m[1]] = true
	}
	used := map[string]bool{}
	for _, c := range all {
		for name := range c.Options {
			name, _, _ = strings.Cut(name, ".")
			if used[name] = true; !known[name] {
				t.Errorf("%s: the option %s is not in README.md", c.Name, name)
			}
		}
	}
	for name := range known {
		if !used[name] && !slices.Contains([]string{"wasm_path", "on_error", "mark_key"}, name) {
			t.Errorf("README.md has the option %s, which no case has", name)
		}
	}
}

// What cases import is in docs/abi.md, and each function there has cases.
func TestImports(t *testing.T) {
	all, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	abi, err := os.ReadFile("../../docs/abi.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\| `\\(").FindAllStringSubmatch(string(abi), -1) {
		documented[m[1]] = true
	}
	imported := map[string]bool{"no_such_function": true}
	for _, c := range all {
		for _, m := range regexp.MustCompile(`\((?:import "flb_v1"|func \(export) "([a-z0-9_]+)"`).FindAllStringSubmatch(c.Module, -1) {
			imported[m[1]] = true
			if strings.Contains(m[0], "flb_v1") && !documented[m[1]] && m[1] != "no_such_function" {
				t.Errorf("%s: docs/abi.md does not have %s", c.Name, m[1])
			}
		}
	}
	// Cases are of records; metrics and traces are tested in internal/filter and test/otlp.
	others := []string{"flb_otlp_1", "flb_metrics", "flb_traces"}
	for name := range documented {
		if !imported[name] && !slices.Contains(others, name) {
			t.Errorf("no case has %s", name)
		}
	}
	if len(documented) < 10 {
		t.Errorf("%d functions are found in docs/abi.md", len(documented))
	}
}
