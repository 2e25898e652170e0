package options

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const goodYAML = `# comment
Level: warn
text: "a,b: c"
quoted: 'yes, "5"'
word: on
n: 1.50
hex: 0xff
on: true
true: x
none: ~
list:
- 1
- a: null
- <b>
a: &one 1
again:
  - *one
  - {b: x}
block: |
  one
  two
folded: >
  one
  two
`

// Small files that stand for much, or nest deep, are refused, soon and without harm.
func TestYAMLBombs(t *testing.T) {
	laughs := "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
	for i := 1; i < 10; i++ {
		laughs += fmt.Sprintf("a%d: &a%d [%s*a%d]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d,", i-1), 9), i-1)
	}
	nested := ""
	for i := range 1000 {
		nested += strings.Repeat(" ", i) + "a:\n"
	}
	const half = maxConfigBytes / 2
	for name, test := range map[string]struct{ content, err string }{
		"aliases":      {laughs, "what it stands for has more than 1048576 bytes"},
		"indentation":  {nested, "it nests more than 64 deep"},
		"brackets":     {"a: " + strings.Repeat("[", half), "it nests more than 64 deep"},
		"braces":       {strings.Repeat("{a: ", half/4), "it nests more than 64 deep"},
		"entries":      {strings.Repeat("- ", half/2), "it nests more than 64 deep"},
		"keys":         {strings.Repeat("? ", half/2), "it nests more than 64 deep"},
		"anchors":      {"a: " + strings.Repeat("&a ", half/3), "more than 1000 anchors and tags"},
		"tags":         {"a: " + strings.Repeat("!!a ", half/4), "more than 1000 anchors and tags"},
		"some anchors": {"a: " + strings.Repeat("&a ", 900) + "1", ""},
		"some tags":    {"a: " + strings.Repeat("!!a ", 900) + "1", ""},
	} {
		path := filepath.Join(t.TempDir(), "a.yaml")
		if err := os.WriteFile(path, []byte(test.content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := readConfigFile(path)
		if err == nil || !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: %.200v, want %q", name, err, test.err)
		}
	}
}

// Of any YAML that is taken, JSON is made that says the same.
func FuzzYAML(f *testing.F) {
	f.Add([]byte(goodYAML))
	f.Add([]byte("a: &x {b: [1, 'c']}\nd: *x"))
	f.Add([]byte("a: !!str &b\n? c\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		out, err := yamlToJSON(content)
		if err != nil {
			return
		}
		var got map[string]any
		if err := json.Unmarshal(out, &got); err != nil || len(out) > maxConfigBytes {
			t.Fatalf("%d bytes, %v: %.300s", len(out), err, out)
		}
	})
}

func TestTables(t *testing.T) {
	for _, test := range []struct {
		set  []Property
		want []TableFile
		err  string
	}{
		{set: []Property{{"table.Users", " /etc/users.csv "}, {"TABLE.geo.city", "/x:y/City.MMDB"}, {"table.c", "a.CSV:user id"}, {"table.d", "a:b.csv:c:d"}, {"table.e", "e.json"}},
			want: []TableFile{{"users", "/etc/users.csv", ""}, {"geo.city", "/x:y/City.MMDB", ""}, {"c", "a.CSV", "user id"}, {"d", "a:b.csv:c:d", ""}, {"e", "e.json", ""}},
			err:  "give the path of a file that ends in .csv, .json or .mmdb"},
		{set: []Property{{"table.Users", " /etc/users.csv "}, {"TABLE.geo.city", "/x:y/City.MMDB"}, {"table.c", "a.CSV:user id"}, {"table.d", "a:b.csv:c"}, {"table.e", "e.json"}},
			want: []TableFile{{"users", "/etc/users.csv", ""}, {"geo.city", "/x:y/City.MMDB", ""}, {"c", "a.CSV", "user id"}, {"d", "a:b.csv", "c"}, {"e", "e.json", ""}}},
		{set: []Property{{"table.", "a.csv"}}, err: "a name is missing after the dot: table.NAME"},
		{set: []Property{{"table.a", ""}}, err: "option table.a is not set: give the path"},
		{set: []Property{{"table.a", "a.txt"}}, err: `option table.a: invalid value "a.txt": give the path`},
		{set: []Property{{"table.a", "a.json:b"}}, err: "give the path"},
		{set: []Property{{"table.a", "a.csv"}, {"table.A", "b.csv"}}, err: "option table.A: invalid value \"b.csv\": a table of that name is set before"},
		{set: []Property{{"table." + strings.Repeat("a", 256), "a.csv"}}, err: "255 bytes at most"},
		{set: []Property{{"table_limit", "1k"}}, err: "option table_limit"},
		{set: []Property{{"table_refresh", "-1s"}}, err: "option table_refresh"},
	} {
		o, err := Parse(Of(append([]Property{{"wasm_path", "a"}, {"function_name", "b"}}, test.set...)))
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%v, want %q", err, test.err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, o.Tables); diff != "" {
			t.Error(diff)
		}
	}
}

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
		{name: "YAML", set: []Property{{"config_file", file("good.yaml", goodYAML)}}, want: []Property{
			{"a", "1"}, {"again", `[1,{"b":"x"}]`}, {"block", "one\ntwo\n"}, {"folded", "one two\n"}, {"hex", "255"}, {"level", "warn"},
			{"list", `[1,{"a":null},"<b>"]`}, {"n", "1.50"}, {"on", "true"}, {"quoted", "yes, \"5\""}, {"text", "a,b: c"}, {"true", "x"}, {"word", "on"}}},
		{name: "YAML by .yml, empty values", set: []Property{{"config_file", file("good.YML", "a:\nb: ~\nc: ''\nd: {}\n")}}, want: []Property{{"c", ""}, {"d", "{}"}}},
		{name: "YAML and options", set: []Property{{"config.LEVEL", "info"}, {"config_file", file("one.yaml", "level: warn")}}, want: []Property{{"level", "info"}}},
		{name: "YAML list", set: []Property{{"config_file", file("list.yaml", "- a")}}, err: "does not hold a YAML mapping"},
		{name: "YAML text", set: []Property{{"config_file", file("text.yaml", "a")}}, err: "does not hold a YAML mapping"},
		{name: "YAML nothing", set: []Property{{"config_file", file("nothing.yaml", "# none\n")}}, err: "does not hold a YAML mapping"},
		{name: "YAML syntax", set: []Property{{"config_file", file("syntax.yaml", "a: 1\nb: [1\n")}}, err: "it is not valid YAML: line 2: "},
		{name: "YAML twice", set: []Property{{"config_file", file("twice.yaml", "a: 1\na: 2\n")}}, err: "it is not valid YAML: line 2: "},
		{name: "YAML twice by case", set: []Property{{"config_file", file("case.yaml", "a: 1\nA: 2\n")}}, err: "twice"},
		{name: "YAML documents", set: []Property{{"config_file", file("documents.yaml", "a: 1\n---\nb: 2\n")}}, err: "line 3: a second document begins"},
		{name: "YAML infinity", set: []Property{{"config_file", file("inf.yaml", "a: 1\nb: .inf\n")}}, err: "line 2: JSON has no such value"},
		{name: "YAML tag", set: []Property{{"config_file", file("tag.yaml", "a: !!str 5\n")}}, err: "line 1: tags are not known here"},
		{name: "YAML merge", set: []Property{{"config_file", file("merge.yaml", "a: &x {b: 1}\nc:\n  <<: *x\n")}}, err: "line 3: merges (<<) are not known here"},
		{name: "YAML alias of nothing", set: []Property{{"config_file", file("alias.yaml", "a: *x\n")}}, err: "line 1: *x is not defined before"},
		{name: "YAML alias of itself", set: []Property{{"config_file", file("itself.yaml", "a: &x [*x]\n")}}, err: "line 1: *x is not defined before"},
		{name: "YAML key", set: []Property{{"config_file", file("key.yaml", "? [a]\n: 1\n")}}, err: "found an invalid key for this map"},
		{name: "YAML bytes", set: []Property{{"config_file", file("bytes.yaml", "a: \xff\n")}}, err: "it is not UTF-8"},
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

// The file is read again as it is by then, beneath what has been set; the options that were read before
// stay as they are.
func TestWithConfigFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.json")
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"a":"1","b":"1"}`)
	o, err := Parse(Of([]Property{{"wasm_path", "a"}, {"function_name", "b"}, {"config_file", file}, {"config.A", "set"}}))
	if err != nil {
		t.Fatal(err)
	}
	write(`{"a":"2","c":"2"}`)
	again, err := o.WithConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Property{{"a", "set"}, {"c", "2"}}, again.Config); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Property{{"a", "set"}, {"b", "1"}}, o.Config); diff != "" {
		t.Error(diff)
	}
	write(`{"a":`)
	if _, err := o.WithConfigFile(); err == nil || !strings.Contains(err.Error(), "option config_file: invalid value \""+file) {
		t.Errorf("%v", err)
	}
}
