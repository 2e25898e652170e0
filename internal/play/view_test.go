package play

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/trial"
)

func parse(t *testing.T, text string) trial.Value {
	t.Helper()
	v, err := trial.ParseValue([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func shown(b block) string {
	var out strings.Builder
	for _, l := range b.Lines {
		out.WriteString(l.Sign + strings.Repeat(" ", l.Depth) + l.Text + "\n")
	}
	return out.String()
}

func TestChanged(t *testing.T) {
	for _, tt := range []struct{ was, is, want string }{
		{`{"a":1}`, `{"a":1}`, "{\"a\":1}\n"},
		{`{"a":1,"b":{"c":[1,2]}}`, `{"a":1.0,"b":{"c":[1,3,2],"d":null}}`,
			"{\n-  \"a\": 1,\n+  \"a\": 1.0,\n \"b\": {\n"},
		{`{"a":1,"gone":2}`, `{"new":3,"a":1}`, "{\n \"a\": 1,\n- \"gone\": 2,\n+ \"new\": 3,\n}\n"},
		{`[1,2,3]`, `[1,3]`, "[\n 1,\n- 2,\n 3\n]\n"},
		{`{"x":{"y":1}}`, `{"x":[1]}`, "{\n- \"x\": {\"y\":1}\n+ \"x\": [1]\n}\n"},
		{`{"$map":[["k",1],["k",2]]}`, `{"$map":[["k",1],["k",3]]}`, "{\n \"k\": 1,\n- \"k\": 2\n+ \"k\": 3\n}\n"},
	} {
		got := shown(changed("", parse(t, tt.was), parse(t, tt.is)))
		if strings.HasSuffix(tt.want, "{\n") { // a prefix, without the blanks of depth
			got, tt.want = strings.ReplaceAll(got, " ", ""), strings.ReplaceAll(tt.want, " ", "")
			if !strings.HasPrefix(got, tt.want) {
				t.Errorf("%s and %s:\n%s", tt.was, tt.is, got)
			}
			continue
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s and %s: %s", tt.was, tt.is, diff)
		}
	}
}

// However much a module makes, a block has a bound.
func TestBlocksAreBounded(t *testing.T) {
	list := make(trial.List, 1_000_000)
	deep := trial.Value(trial.List{})
	for range 120 {
		deep = trial.List{deep, deep}[:1]
	}
	for _, v := range []trial.Value{list, deep, strings.Repeat("é", 1<<20), trial.Bin(make([]byte, 1<<20)), trial.Map{{Key: list, Value: strings.Repeat("x", 1<<20)}}} {
		for _, b := range []block{whole("", "+", v), changed("", trial.Map{}, v), changed("", trial.List{v}, trial.List{v, v})} {
			if len(b.Lines) > maxBlockLines || sizeOf([]block{b}) > maxBlockLines*(maxTextBytes+100) {
				t.Errorf("%T: %d lines, %d bytes", v, len(b.Lines), sizeOf([]block{b}))
			}
			for _, l := range b.Lines {
				if len(l.Text) > 3*maxTextBytes {
					t.Errorf("%T: a line of %d bytes", v, len(l.Text))
				}
			}
		}
	}
}
