package options

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestConfig(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("good.json", `{"Level":"warn","list":[1, {"a":null}],"n":1.50,"none":null,"on":true,"text":"a,b \"c\""}`)
	for _, test := range []struct {
		name string
		set  []Property
		want []Property
		err  string
	}{
		{name: "none"},
		{name: "options", set: []Property{{"config.B", "1"}, {"Config.a.b", " x,\n y "}, {"config.empty", ""}},
			want: []Property{{"a.b", " x,\n y "}, {"b", "1"}, {"empty", ""}}},
		{name: "file", set: []Property{{"config_file", good}},
			want: []Property{{"level", "warn"}, {"list", `[1,{"a":null}]`}, {"n", "1.50"}, {"on", "true"}, {"text", `a,b "c"`}}},
		{name: "options win", set: []Property{{"config.LEVEL", "info"}, {"config_file", file("one.json", `{"level":"warn"}`)}},
			want: []Property{{"level", "info"}}},
		{name: "not ASCII", set: []Property{{"config.\u00c9A\xff", "1"}, {"config_file", file("kelvin", `{"\u212a":1,"k":2}`)}},
			want: []Property{{"k", "2"}, {"\u00c9a\xff", "1"}, {"\u212a", "1"}}},
		{name: "no key", set: []Property{{"config.", "x"}}, err: "a key is missing after the dot"},
		{name: "zero byte", set: []Property{{"config.a", "x\x00y"}}, err: "zero byte"},
		{name: "too much", set: []Property{{"config.a", strings.Repeat("x", 1<<20)}}, err: "1048577 bytes"},
		{name: "no file", set: []Property{{"config_file", dir + "/absent"}}, err: "can't be read"},
		{name: "directory", set: []Property{{"config_file", dir}}, err: "can't be read"},
		{name: "no JSON", set: []Property{{"config_file", file("bad", "a: 1")}}, err: "does not hold a JSON object"},
		{name: "no object", set: []Property{{"config_file", file("list", "[1]")}}, err: "does not hold a JSON object"},
		{name: "null", set: []Property{{"config_file", file("null", "null")}}, err: "does not hold a JSON object"},
		{name: "twice", set: []Property{{"config_file", file("twice", `{"a":1,"A":2}`)}}, err: "twice"},
		{name: "large file", set: []Property{{"config_file", file("large", `{"a":"`+strings.Repeat("x", 1<<20)+`"}`)}}, err: "can't be read"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o, err := Parse(Of(append([]Property{{"wasm_path", "a"}, {"function_name", "b"}}, test.set...)))
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) || !strings.Contains(err.Error(), "option config") {
					t.Errorf("%v, want %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, o.Config); diff != "" {
				t.Error(diff)
			}
		})
	}
}
