package fbconf

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// write lays out files in a new directory and returns it.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func env(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

// kv are properties without their lines.
func kv(pairs ...string) []Property {
	var ps []Property
	for i := 0; i < len(pairs); i += 2 {
		ps = append(ps, Property{Key: pairs[i], Value: pairs[i+1]})
	}
	return ps
}

var ignorePlaces = []cmp.Option{
	cmpopts.IgnoreFields(Section{}, "File", "Line"),
	cmpopts.IgnoreFields(Property{}, "Line"),
}

func TestLoad(t *testing.T) {
	tests := []struct {
		name  string
		main  string
		files map[string]string
		env   map[string]string
		want  []Section
		warns []string // with the directory left out
	}{
		{
			name: "classic",
			main: "fluent-bit.conf",
			files: map[string]string{"fluent-bit.conf": "# a comment\n" +
				"[SERVICE]\r\n    Flush 1\r\n\r\n" +
				"[INPUT]\n    Name   tail\n    Tag app.*\n    # not this\n    Path /var/log/a b.log # kept\n" +
				"    \n[FILTER]\n    Name wasmtime\n    Match *\n    WASM_Path /f.wasm\n    Function_Name go_filter"},
			want: []Section{
				{Kind: "service", Properties: kv("flush", "1")},
				{Kind: "input", Name: "tail", Properties: kv("name", "tail", "tag", "app.*", "path", "/var/log/a b.log # kept")},
				{Kind: "filter", Name: "wasmtime", Properties: kv("name", "wasmtime", "match", "*",
					"wasm_path", "/f.wasm", "function_name", "go_filter")},
			},
		},
		{
			name: "classic with variables",
			main: "c.conf",
			files: map[string]string{"c.conf": "[FILTER]\n  Name ${WHICH}\n  A x${A}y${B}z\n  C ${C:-three}\n  D ${D:-four}\n" +
				"  E ${E}\n  F ${\n  G ${}\n  H ${A:-no}\n@SET WHICH=wasmtime\n@set A=a=b\n@SET D=\n"},
			env: map[string]string{"B": "${A}"},
			want: []Section{{Kind: "filter", Name: "wasmtime", Properties: kv("name", "wasmtime",
				"a", "xa=by${A}z", "c", "three", "d", "four", "e", "", "f", "${", "g", "${}", "h", "a=b")}},
			warns: []string{"c.conf:6: variable ${E} is not set"},
		},
		{
			name: "classic with includes",
			main: "main.conf",
			files: map[string]string{
				"main.conf":        "[INPUT]\n  Name dummy\n@INCLUDE filters/*.conf\n  Tag t\n@include last.conf\n@nonsense x\n",
				"filters/1-a.conf": "[FILTER]\n\tName a\n\tMatch *\n",
				"filters/2-b.conf": "[FILTER]\n    Name b\n    Match *\n@INCLUDE deep.conf\n",
				"filters/no.txt":   "[FILTER]\n    Name no\n",
				"deep.conf":        "[FILTER]\n Name deep\n",
				"last.conf":        "[OUTPUT]\n Name null\n",
			},
			want: []Section{
				{Kind: "input", Name: "dummy", Properties: kv("name", "dummy", "tag", "t")},
				{Kind: "filter", Name: "a", Properties: kv("name", "a", "match", "*")},
				{Kind: "filter", Name: "b", Properties: kv("name", "b", "match", "*")},
				{Kind: "filter", Name: "deep", Properties: kv("name", "deep")},
				{Kind: "output", Name: "null", Properties: kv("name", "null")},
			},
			warns: []string{"main.conf:6: @nonsense is not known and left out"},
		},
		{
			name:  "classic with a group",
			main:  "c.conf",
			files: map[string]string{"c.conf": "[OUTPUT]\n  Name x\n  [GROUP]\n    Key inside\n  Host h\n"},
			want:  []Section{{Kind: "output", Name: "x", Properties: kv("name", "x", "host", "h")}},
		},
		{
			name: "yaml",
			main: "fluent-bit.yaml",
			files: map[string]string{"fluent-bit.yaml": `
# a comment
env:
  LEVEL: debug
  empty:
service:
  flush: 1
  log_level: ${LEVEL}
parsers:
  - name: json
pipeline:
  inputs:
    - name: dummy
      tag: 'app.log'
      processors:
        logs:
          - name: wasmtime
            wasm_path: /p.wasm
            condition:
              op: and
              rules: []
          - {name: content_modifier, action: insert}
        metrics:
          - name: labels
  filters:
    - name: wasmtime
      match: "*"
      wasmPath: ${DIR}/f.wasm
      Function_Name: go_filter
      wasm_heap_size: 0x10
      active: false
      nothing:
      text: |
        two
        lines
      accessible_paths: [a, b]
    - name: modify
      add: A 1
      add: B 2
  outputs:
    - name: stdout
      match: '*'
`},
			env: map[string]string{"DIR": "/opt"},
			want: []Section{
				{Kind: "service", Properties: kv("flush", "1", "log_level", "debug")},
				{Kind: "input", Name: "dummy", Properties: kv("name", "dummy", "tag", "app.log"), Processors: []Section{
					{Kind: "processor", Name: "wasmtime", Properties: []Property{
						{Key: "name", Value: "wasmtime"}, {Key: "wasm_path", Value: "/p.wasm"}, {Key: "condition", Nested: true}}},
					{Kind: "processor", Name: "content_modifier", Properties: kv("name", "content_modifier", "action", "insert")},
				}},
				{Kind: "filter", Name: "wasmtime", Properties: kv("name", "wasmtime", "match", "*", "wasm_path", "/opt/f.wasm",
					"function_name", "go_filter", "wasm_heap_size", "0x10", "active", "false", "nothing", "",
					"text", "two\nlines\n", "accessible_paths", "a", "accessible_paths", "b")},
				{Kind: "filter", Name: "modify", Properties: kv("name", "modify", "add", "A 1", "add", "B 2")},
				{Kind: "output", Name: "stdout", Properties: kv("name", "stdout", "match", "*")},
			},
		},
		{
			name: "yaml with includes",
			main: "a.yml",
			files: map[string]string{
				"a.yml":         "includes:\n  - sub/b.yaml\n  - more/*.yaml\nenv:\n  - name: X\n    value: x\n  - name: S\n    uri: file:///s\n",
				"sub/b.yaml":    "includes: [c.yaml]\npipeline:\n  filters:\n    - name: b\n      k: ${X}${S}\n",
				"sub/c.yaml":    "pipeline:\n  filters:\n    - name: c\n",
				"more/1.yaml":   "---\npipeline:\n  outputs:\n    - name: one\n  inputs:\n",
				"more/2.yaml":   "# nothing\n",
				"more/3.yaml":   "pipeline: {filters: [{name: three}]}\n",
				"more/x.yaml~~": "pipeline: {filters: [{name: no}]}\n",
			},
			want: []Section{
				{Kind: "filter", Name: "c", Properties: kv("name", "c")},
				{Kind: "filter", Name: "b", Properties: kv("name", "b", "k", "x")},
				{Kind: "output", Name: "one", Properties: kv("name", "one")},
				{Kind: "filter", Name: "three", Properties: kv("name", "three")},
			},
			warns: []string{
				"a.yml:7: variable S comes from file:///s and is not read",
				"sub/b.yaml:5: variable ${S} is not set",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := write(t, tt.files)
			got, err := Load(filepath.Join(dir, tt.main), env(tt.env))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got.Sections, ignorePlaces...); diff != "" {
				t.Errorf("sections (-want +got):\n%s", diff)
			}
			var warns []string
			for _, w := range got.Warnings {
				warns = append(warns, strings.ReplaceAll(w, dir+string(filepath.Separator), ""))
			}
			if diff := cmp.Diff(tt.warns, warns); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoadPlaces(t *testing.T) {
	for name, text := range map[string]string{
		"c.conf": "[FILTER]\n  Name a\n\n  Match *\n",
		"c.yaml": "pipeline: {filters: [\n  {name: a,\n\n   match: '*'}]}\n",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(write(t, map[string]string{name: text}), name)
			got, err := Load(path, env(nil))
			if err != nil {
				t.Fatal(err)
			}
			first := 1
			if name == "c.yaml" {
				first = 2
			}
			want := []Section{{Kind: "filter", Name: "a", File: path, Line: first, Properties: []Property{
				{Key: "name", Value: "a", Line: 2}, {Key: "match", Value: "*", Line: 4}}}}
			if diff := cmp.Diff(want, got.Sections); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoadErrors(t *testing.T) {
	tests := []struct {
		name  string
		main  string
		files map[string]string
		want  string // with the directory left out
	}{
		{"no file", "c.conf", nil, "c.conf: read c.conf: no such file or directory"},
		{"no YAML file", "c.yaml", nil, "c.yaml: read c.yaml: no such file or directory"},
		{"header", "c.conf", map[string]string{"c.conf": "[FILTER\n"},
			`c.conf:1: section header "[FILTER" does not end with ]`},
		{"outside", "c.conf", map[string]string{"c.conf": "\n  Name x\n"},
			`c.conf:2: "Name x" stands before the first section: begin with one, such as [SERVICE]; a file in YAML has a name that ends in .yaml or .yml`},
		{"not indented", "c.conf", map[string]string{"c.conf": "[FILTER]\nName x\n"},
			"c.conf:2: keys of a section must be indented"},
		{"mixed", "c.conf", map[string]string{"c.conf": "[FILTER]\n    Name x\n\tMatch *\n"},
			`c.conf:3: indented by "\t", the lines before by "    "`},
		{"less", "c.conf", map[string]string{"c.conf": "[FILTER]\n    Name x\n  Match *\n"},
			`c.conf:3: indented by "  ", the lines before by "    "`},
		{"deeper", "c.conf", map[string]string{"c.conf": "[FILTER]\n  Name x\n    Match *\n"},
			"c.conf:3: indented deeper than the lines before"},
		{"no value", "c.conf", map[string]string{"c.conf": "[FILTER]\n  Name\n"},
			`c.conf:2: key "Name" has no value; a space must stand between them`},
		{"tab", "c.conf", map[string]string{"c.conf": "[FILTER]\n  Name\twasm\n"},
			`c.conf:2: key "Name\twasm" has no value; a space must stand between them`},
		{"group", "c.conf", map[string]string{"c.conf": "[OUTPUT]\n  [GROUP\n"},
			`c.conf:2: group header "[GROUP" does not end with ]`},
		{"set", "c.conf", map[string]string{"c.conf": "@SET a\n"}, "c.conf:1: @SET a is not of the form key=value"},
		{"command", "c.conf", map[string]string{"c.conf": "@INCLUDE\n"}, "c.conf:1: @INCLUDE has no value"},
		{"include nothing", "c.conf", map[string]string{"c.conf": "@INCLUDE *.inc\n"}, "c.conf:1: no file matches *.inc"},
		{"include missing", "c.conf", map[string]string{"c.conf": "\n@INCLUDE x.inc\n"},
			"c.conf:2: read x.inc: no such file or directory"},
		{"include itself", "c.conf", map[string]string{"c.conf": "@INCLUDE d.conf\n", "d.conf": "@INCLUDE c.conf\n"},
			"d.conf:1: file c.conf is included already"},
		{"error in included", "c.conf", map[string]string{"c.conf": "@INCLUDE d.conf\n", "d.conf": "[A]\nb c\n"},
			"d.conf:2: keys of a section must be indented"},

		{"yaml syntax", "c.yaml", map[string]string{"c.yaml": "a: 1\nb: [1, 2\n"},
			"c.yaml:2: not valid YAML: sequence end token ']' not found"},
		{"yaml top", "c.yaml", map[string]string{"c.yaml": "- a\n"}, "c.yaml:1: a mapping of keys to values is expected here"},
		{"yaml component", "c.yaml", map[string]string{"c.yaml": "pipeline:\n  filter:\n    - name: x\n"},
			`c.yaml:2: pipeline has no component "filter": allowed are inputs, filters, outputs and customs`},
		{"yaml filters", "c.yaml", map[string]string{"c.yaml": "pipeline:\n  filters:\n    name: x\n"},
			"c.yaml:3: a list is expected here"},
		{"yaml filter", "c.yaml", map[string]string{"c.yaml": "pipeline:\n  filters:\n    - x\n"},
			"c.yaml:3: a mapping of keys to values is expected here"},
		{"yaml alias", "c.yaml", map[string]string{"c.yaml": "pipeline:\n  filters:\n    - name: &a x\n      match: *a\n"},
			"c.yaml:4: aliases and merges are not known to Fluent Bit"},
		{"yaml env", "c.yaml", map[string]string{"c.yaml": "env:\n  a: [1]\n"}, "c.yaml:2: a single value is expected here"},
		{"yaml env list", "c.yaml", map[string]string{"c.yaml": "env:\n  - a\n"},
			"c.yaml:2: a mapping of keys to values is expected here"},
		{"yaml service", "c.yaml", map[string]string{"c.yaml": "service: on\n"},
			"c.yaml:1: a mapping of keys to values is expected here"},
		{"yaml processors", "c.yaml", map[string]string{"c.yaml": "pipeline:\n  inputs:\n    - name: x\n      processors:\n        logs: wasm\n"},
			"c.yaml:5: a list is expected here"},
		{"yaml processor", "c.yaml", map[string]string{"c.yaml": "pipeline:\n  inputs:\n    - processors: {logs: [wasm]}\n"},
			"c.yaml:3: a mapping of keys to values is expected here"},
		{"yaml include nameless", "c.yaml", map[string]string{"c.yaml": "includes:\n  - ''\n"}, "c.yaml:2: a file name is missing"},
		{"yaml includes", "c.yaml", map[string]string{"c.yaml": "includes: a.yaml\n"}, "c.yaml:1: a list is expected here"},
		{"yaml include itself", "c.yaml", map[string]string{"c.yaml": "includes:\n  - c.yaml\n"},
			"c.yaml:2: file c.yaml is included already"},
		{"yaml include nothing", "c.yaml", map[string]string{"c.yaml": "includes:\n  - d/*.yaml\n"},
			"c.yaml:2: no file matches d/*.yaml"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := write(t, tt.files)
			_, err := Load(filepath.Join(dir, tt.main), env(nil))
			if err == nil {
				t.Fatal("no error")
			}
			got := strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), "")
			if got != tt.want {
				t.Errorf("error\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestLoadErrorWraps(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "c.conf"), env(nil))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v does not wrap that no file is there", err)
	}
	var located *Error
	if !errors.As(err, &located) {
		t.Errorf("error %v is no *Error", err)
	}
}

func TestConfigKind(t *testing.T) {
	c := Config{Sections: []Section{{Kind: "filter", Name: "a"}, {Kind: "input", Name: "b"}, {Kind: "filter", Name: "c"}}}
	want := []Section{{Kind: "filter", Name: "a"}, {Kind: "filter", Name: "c"}}
	if diff := cmp.Diff(want, c.Kind("filter")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLoadTooManyFiles(t *testing.T) {
	l := newTestLoader()
	l.files.read = func(path string) ([]byte, error) { return []byte("@INCLUDE " + path + "x\n"), nil }
	l.files.exists = func(string) bool { return true }
	err := l.classic("a", position{})
	if err == nil || !strings.HasSuffix(err.Error(), ":1: more than 1000 files are included") {
		t.Errorf("error %v", err)
	}
}

func TestMatchTag(t *testing.T) {
	tests := []struct {
		pattern, tag string
		want         bool
	}{
		{"*", "", true}, {"*", "app.log", true}, {"**", "a", true}, {"", "", true}, {"", "a", false},
		{"app.log", "app.log", true}, {"app.log", "app.logs", false}, {"app.log", "app.lo", false},
		{"app.*", "app.log", true}, {"app.*", "app.", true}, {"app.*", "app", false}, {"app.*", "xapp.log", false},
		{"*.log", "app.log", true}, {"*.log", "a.log.log", true}, {"*.log", "a.log.x", false},
		{"a*b*c", "a-b-b-c", true}, {"a*b*c", "a-c-b", false}, {"a*a", "a", false}, {"*a*", "bab", true},
		{"a?c", "abc", false}, {"App", "app", false},
	}
	for _, tt := range tests {
		if got := MatchTag(tt.pattern, tt.tag); got != tt.want {
			t.Errorf("MatchTag(%q, %q) = %t", tt.pattern, tt.tag, got)
		}
	}
}

func TestMatcher(t *testing.T) {
	tests := []struct {
		name     string
		section  Section
		tag      string
		want     bool
		mistaken string // part of NewMatcher's error
	}{
		{"none", Section{}, "", false, "neither match nor match_regex"},
		{"glob", Section{Properties: kv("match", "a.*")}, "a.b", true, ""},
		{"regex", Section{Properties: kv("match_regex", `a\.(b|c)`)}, "a.b", true, ""},
		{"regex is anchored at the start", Section{Properties: kv("match_regex", `b`)}, "a.b", false, ""},
		{"regex is open at the end", Section{Properties: kv("match_regex", `a`)}, "a.b", true, ""},
		{"regex has to take something", Section{Properties: kv("match_regex", `x*`)}, "a.b", false, ""},
		{"either is enough", Section{Properties: kv("match", "z", "match_regex", `a`)}, "a.b", true, ""},
		{"slashes", Section{Properties: kv("match_regex", `/^A\./`)}, "a.b", false, ""},
		{"slashes and option", Section{Properties: kv("match_regex", `/^A\./i`)}, "a.b", true, ""},
		{"multiline", Section{Properties: kv("match_regex", `/a.b/m`)}, "a\nb", true, ""},
		{"lookahead", Section{Properties: kv("match_regex", `^(?!kube\.).*$`)}, "app.a", true, ""},
		{"lookahead that fails", Section{Properties: kv("match_regex", `^(?!kube\.).*$`)}, "kube.a", false, ""},
		{"lookbehind", Section{Properties: kv("match_regex", `.*(?<=web)$`)}, "app.web", true, ""},
		{"backreference", Section{Properties: kv("match_regex", `(\w+)\.\1`)}, "ab.ab", true, ""},
		{"atomic group", Section{Properties: kv("match_regex", `(?>a*)ab`)}, "aab", false, ""},
		{"named group", Section{Properties: kv("match_regex", `(?<x>a)\k<x>`)}, "aa", true, ""},
		{"class", Section{Properties: kv("match_regex", `[[:alpha:]]+\.[[:digit:]]$`)}, "ab.1", true, ""},
		{"lines", Section{Properties: kv("match_regex", `a$`)}, "a\nb", true, ""},
		{"possessive", Section{Properties: kv("match_regex", `a++b`)}, "", false, `match_regex "a++b" can't be used here`},
		{"hexadecimal digit", Section{Properties: kv("match_regex", `\h+`)}, "", false, `\h is not known`},
		{"backslash before h", Section{Properties: kv("match_regex", `\\h`)}, `\h`, true, ""},
		{"not closed", Section{Properties: kv("match_regex", `(a`)}, "", false, `match_regex "(a" can't be used here`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := NewMatcher(&tt.section)
			if tt.mistaken != "" {
				if err == nil || !strings.Contains(err.Error(), tt.mistaken) {
					t.Fatalf("error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, err := m.Match(tt.tag); got != tt.want || err != nil {
				t.Errorf("Match(%q) = %t, %v", tt.tag, got, err)
			}
		})
	}
}

// An expression that backtracks for ever is given up.
func TestMatcherEnds(t *testing.T) {
	m, err := NewMatcher(&Section{Properties: kv("match_regex", `(a|aa)+$`)})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := m.Match(strings.Repeat("a", 200) + "b"); got || err == nil || !strings.Contains(err.Error(), "backtracks") {
		t.Errorf("%t, %v", got, err)
	}
}
