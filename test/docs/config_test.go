package docs

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/maxmind/mmdbwriter"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/fbconf"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/fluentbit"
)

// block is a block of code of a document, fenced or indented, without fences and indentation.
type block struct {
	line int
	text string
}

// blocks are the blocks of code of a document, in order.
func blocks(text string) []block {
	var found []block
	var lines []string
	start, fenced, blank := 0, false, true
	end := func() {
		for len(lines) > 0 && lines[len(lines)-1] == "" {
			lines = lines[:len(lines)-1]
		}
		if len(lines) > 0 {
			found = append(found, block{start, strings.Join(lines, "\n") + "\n"})
		}
		lines = nil
	}
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "```"):
			end()
			fenced, start = !fenced, number+1
		case fenced:
			lines = append(lines, line)
		case strings.HasPrefix(line, "    ") && (blank || len(lines) > 0):
			if len(lines) == 0 {
				start = number
			}
			lines = append(lines, line[4:])
		case strings.TrimSpace(line) == "" && len(lines) > 0:
			lines = append(lines, "")
		default:
			end()
		}
		blank = strings.TrimSpace(line) == ""
	}
	end()
	return found
}

var (
	classicConfig = regexp.MustCompile(`(?m)\A(?:#.*\n)*\[(SERVICE|INPUT|FILTER|OUTPUT|PLUGINS)\]$`)
	yamlConfig    = regexp.MustCompile(`(?m)^(service|pipeline|plugins):$`)
)

// A configuration of a document, in its forms.
type configuration struct {
	at         string // document and line
	classic    string
	yaml       string
	processors string // the filters as processors; "" if the document doesn't have that
}

func configurations(t *testing.T) []configuration {
	t.Helper()
	var all []configuration
	read(t).documents(func(at, text string) {
		previous := "" // what the block before was
		for _, b := range blocks(text) {
			place := fmt.Sprintf("%s:%d", at, b.line)
			kind := ""
			switch {
			case classicConfig.MatchString(b.text):
				if previous == "classic" {
					t.Errorf("%s: the configuration before has no YAML form next to it", place)
				}
				kind = "classic"
				all = append(all, configuration{at: place, classic: b.text})
			case strings.Contains(b.text, "processors:") && !strings.Contains(b.text, "        logs:"):
				// Processors of metrics and traces have no other form.
			case yamlConfig.MatchString(b.text) && strings.Contains(b.text, "processors:"):
				kind = "processors"
				if previous != "yaml" {
					t.Errorf("%s: no filter in YAML stands before its form as a processor", place)
					continue
				}
				all[len(all)-1].processors = b.text
			case yamlConfig.MatchString(b.text) && !strings.Contains(b.text, "apiVersion:"):
				kind = "yaml"
				if previous != "classic" {
					t.Errorf("%s: no classic form stands before this configuration", place)
					continue
				}
				all[len(all)-1].yaml = b.text
			case previous == "classic":
				t.Errorf("%s: the configuration before has no YAML form next to it", place)
			}
			previous = kind
		}
		if previous == "classic" {
			t.Errorf("%s: the last configuration has no YAML form", at)
		}
	})
	return all
}

// load reads a configuration by its text.
func load(t *testing.T, name, text string) *fbconf.Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := fbconf.Load(file, func(name string) string { return "$" + name })
	if err != nil {
		t.Fatal(err)
	}
	// Package fbconf leaves out what loads plugins, and what runs no records.
	if list := regexp.MustCompile(`(?m)^plugins:\n((?:  - .*\n)+)`).FindStringSubmatch(text); list != nil {
		s := fbconf.Section{Kind: "plugins"}
		for path := range strings.Lines(list[1]) {
			s.Properties = append(s.Properties, fbconf.Property{Key: "path", Value: strings.TrimSpace(path[4:])})
		}
		c.Sections = append(c.Sections, s)
	}
	return c
}

// meaning is what a configuration says: properties by key in each section, sections of one kind in
// their order, without what tells the forms apart.
func meaning(sections []fbconf.Section) []string {
	var all []string
	for _, s := range slices.Clone(sections) {
		properties := slices.Clone(s.Properties)
		slices.SortStableFunc(properties, func(a, b fbconf.Property) int { return cmp.Compare(a.Key, b.Key) })
		line := s.Kind
		for _, p := range properties {
			if p.Key != "plugins_file" { // YAML has plugins instead
				line += fmt.Sprintf(" %s=%s", p.Key, p.Value)
			}
		}
		if line != "service" {
			all = append(all, line)
		}
	}
	slices.SortStableFunc(all, func(a, b string) int {
		return cmp.Compare(strings.Fields(a)[0], strings.Fields(b)[0])
	})
	return all
}

// Each configuration stands there in classic and in YAML form, and both say the same.
func TestConfigurationForms(t *testing.T) {
	all := configurations(t)
	processors := 0
	for _, c := range all {
		if c.yaml == "" {
			continue // said already
		}
		classic := load(t, "c.conf", c.classic)
		if diff := gocmp.Diff(meaning(classic.Sections), meaning(load(t, "c.yaml", c.yaml).Sections)); diff != "" {
			t.Errorf("%s: classic (-) and YAML (+) differ:\n%s", c.at, diff)
		}
		if c.processors == "" {
			continue
		}
		processors++
		var want, got []fbconf.Section
		for _, s := range classic.Kind("filter") {
			s.Properties = slices.DeleteFunc(slices.Clone(s.Properties), func(p fbconf.Property) bool { return strings.HasPrefix(p.Key, "match") })
			want = append(want, s)
		}
		for _, s := range load(t, "p.yaml", c.processors).Kind("input") {
			for _, p := range s.Processors {
				p.Kind = "filter"
				got = append(got, p)
			}
		}
		if diff := gocmp.Diff(meaning(want), meaning(got)); diff != "" {
			t.Errorf("%s: filters (-) and processors (+) differ:\n%s", c.at, diff)
		}
	}
	if len(all) < 12 || processors < 1 {
		t.Errorf("%d configurations found, %d with processors", len(all), processors)
	}
}

// guests are the modules that the documents' names stand for: where the function is called filter, which SDKs
// call it, and in the bare form where it has a name of its own.
var guests = map[string]string{
	"redact.wasm":       "examples/c/redact.wasm",
	"redact-1.0.0.wasm": "examples/c/redact.wasm",
	"redact-1.1.0.wasm": "examples/c/redact.wasm",
	"enrich.wasm":       "examples/rust/enrich.wasm",
	"lookup.wasm":       "examples/enrich-table/enrich.wasm",
	"sample.wasm":       "examples/assemblyscript/sample.wasm",
	"mask.wasm":         "examples/c/redact.wasm",
	"errors.wasm":       "examples/c/redact.wasm",
}

var (
	wasmSHA256  = regexp.MustCompile(`(wasm_sha256:?\s+)[0-9a-f]{64}`)
	wasmPath    = regexp.MustCompile(`(wasm_path:?\s+)(\S+)(\s+function_name:?\s+)(\S+)`)
	stateOfADoc = regexp.MustCompile(`(?m)^(\s+(?:cache_dir|db):?\s+)(\S+)$`)
)

// whole makes a configuration one that can be run here: modules of the examples in place of those
// that it names, and an input and an output if it has none. ok tells whether all modules are there.
func whole(t *testing.T, text string, yaml bool) (made string, ok bool) {
	t.Helper()
	ok = true
	dir := t.TempDir()
	hash := "" // of the module
	text = wasmPath.ReplaceAllStringFunc(text, func(s string) string {
		m := wasmPath.FindStringSubmatch(s)
		at, base := m[2], path.Base(m[2])
		if name := strings.TrimSuffix(base, ".wasm"); path.Base(path.Dir(at)) == "recipes" {
			buildRecipes(t)
			keep := "\n    cache_dir "
			if yaml {
				keep = "\n      cache_dir: "
			}
			return m[1] + path.Join("examples/recipes", name, base) + m[3] + m[4] + keep + cache
		}
		if !strings.HasPrefix(at, "examples/") {
			if at = guests[base]; at == "" {
				t.Errorf("no guest stands for %s", m[2])
			} else if m[4] != "filter" {
				at = path.Join(path.Dir(at), "bare", path.Base(at))
			}
		}
		content, err := os.ReadFile(filepath.Join(root, at))
		if err != nil {
			ok = false // built by its own test
		}
		hash = fmt.Sprintf("%x", sha256.Sum256(content))
		return m[1] + at + m[3] + m[4]
	})
	text = wasmSHA256.ReplaceAllString(text, "${1}"+hash)
	text = tablePath.ReplaceAllStringFunc(text, func(s string) string {
		m := tablePath.FindStringSubmatch(s)
		if path.Ext(m[2]) == ".csv" {
			return m[1] + "examples/enrich-table/users.csv" + strings.Replace(m[3], "login", "user", 1)
		}
		return m[1] + database(t)
	})
	text = regexp.MustCompile(`(?mi)^\s+plugins_file.*\n`).ReplaceAllString(text, "    Flush 1\n") // -e does
	text = stateOfADoc.ReplaceAllString(text, "${1}"+dir+"/${2}")
	for _, m := range stateOfADoc.FindAllStringSubmatch(text, -1) {
		if err := os.MkdirAll(filepath.Dir(m[2]), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	has := func(kind string) bool {
		return regexp.MustCompile(`(?im)^\[` + kind + `\]|^  ` + kind + `s:`).MatchString(text)
	}
	if has("plugin") || !strings.Contains(text, "[") && !strings.Contains(text, "pipeline:") {
		return text, ok // loads plugins, and has no pipeline
	}
	switch {
	case yaml:
		if !strings.Contains(text, "pipeline:\n") {
			text += "\npipeline:\n"
		}
		if !has("input") {
			text = strings.Replace(text, "pipeline:\n", "pipeline:\n  inputs:\n    - name: dummy\n", 1)
		}
		if !has("output") {
			text = strings.TrimRight(text, "\n") + "\n\n  outputs:\n    - name: \"null\"\n      match: \"*\"\n"
		}
	default:
		if !has("input") {
			text += "\n[INPUT]\n    Name dummy\n"
		}
		if !has("output") {
			text += "\n[OUTPUT]\n    Name null\n    Match *\n"
		}
	}
	return text, ok
}

var tablePath = regexp.MustCompile(`(?m)^(\s+table\.\w+:?\s+)(/\S+?\.(?:csv|mmdb))(:\w+)?$`)

// database makes a MaxMind DB.
func database(t *testing.T) string {
	t.Helper()
	w, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "Test"})
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "a.mmdb"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := w.WriteTo(file); err != nil {
		t.Fatal(err)
	}
	return file.Name()
}

// The plugin accepts each configuration: flb-wasmtime says so, and Fluent Bit itself where there
// is one.
func TestConfigurationsAreAccepted(t *testing.T) {
	t.Setenv("VENDOR_KEY", "secret")
	command, err := filepath.Abs(filepath.Join(root, "build", "flb-wasmtime"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(command); err != nil {
		t.Fatalf("%v: run make build", err)
	}
	binaries, err := fluentbit.Find()
	if err != nil {
		t.Fatal(err)
	}
	filterObject, outputObject := "", ""
	if len(binaries) > 0 {
		if filterObject, err = fluentbit.Plugin("flb-filter_wasmtime.so"); err != nil {
			t.Fatal(err)
		}
		if outputObject, err = fluentbit.Plugin("out_wasmtime.so"); err != nil {
			t.Fatal(err)
		}
	}
	checked, ran := 0, 0
	for _, c := range configurations(t) {
		for _, form := range []struct{ name, text string }{{"c.conf", c.classic}, {"c.yaml", c.yaml}, {"p.yaml", c.processors}} {
			if !strings.Contains(form.text, "wasm_path") {
				continue // loads plugins, and is run by test/e2e
			}
			yaml := strings.HasSuffix(form.name, ".yaml")
			text, ok := whole(t, form.text, yaml)
			if !ok {
				continue
			}
			file := filepath.Join(t.TempDir(), form.name)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			run := func(program string, args ...string) (string, error) {
				cmd := exec.Command(program, args...)
				cmd.Dir = root
				out, err := cmd.CombinedOutput()
				return string(out), err
			}
			if out, err := run(command, "check", "--config", file); err != nil {
				t.Errorf("%s, %s: %v\n%s", c.at, form.name, err, out)
			}
			checked++
			for _, b := range binaries {
				if out := lacks(b, text, yaml, form.name == "p.yaml"); out != "" {
					t.Logf("%s, %s: Fluent Bit %s has no %s", c.at, form.name, b.Version, out)
					continue
				}
				out, err := run(b.Path, "-e", filterObject, "-e", outputObject, "-c", file, "--dry-run")
				if err != nil || !strings.Contains(out, "test is successful") {
					t.Errorf("%s, %s, Fluent Bit %s: %v\n%s", c.at, form.name, b.Version, err, out)
				}
				ran++
			}
		}
	}
	if checked < 15 {
		t.Errorf("%d configurations checked", checked)
	}
	t.Logf("%d configurations checked, %d runs of Fluent Bit", checked, ran)
}

// lacks returns what a configuration takes that a Fluent Bit doesn't have.
func lacks(b fluentbit.Binary, text string, yaml, processors bool) string {
	if yaml && strings.HasPrefix(b.Version, "1.") {
		return "YAML"
	}
	if processors && strings.HasPrefix(b.Version, "2.0") {
		return "processors"
	}
	for _, m := range regexp.MustCompile(`(?im)^\s+(?:- )?name:?\s+"?(\w+)"?$`).FindAllStringSubmatch(text, -1) {
		found := m[1] == "wasmtime"
		for _, section := range []string{"Inputs", "Filters", "Outputs"} {
			found = found || b.Has(section, m[1])
		}
		if !found {
			return m[1]
		}
	}
	return ""
}
