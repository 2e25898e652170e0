// Package docs keeps the documentation from rotting: what it links to and what it names is there.
package docs

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

const root = "../.."

// tree is the project: its files by path from the root, with slashes, and the text of those that
// are sources or documentation.
type tree struct {
	paths map[string]bool // directories too
	bases map[string]bool // of files of the plugin and the command, which may be named without a path
	text  map[string]string
}

func read(t *testing.T) *tree {
	tr := &tree{paths: map[string]bool{}, bases: map[string]bool{}, text: map[string]string{}}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		at, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		at = filepath.ToSlash(at)
		if d.IsDir() {
			if slices.Contains([]string{".git", "build", "node_modules", "target"}, d.Name()) {
				return fs.SkipDir
			}
			tr.paths[at] = true
			return nil
		}
		tr.paths[at] = true
		if !strings.HasPrefix(at, "test/") && !strings.HasPrefix(at, "examples/") {
			tr.bases[d.Name()] = true
		}
		if slices.Contains([]string{".go", ".c", ".h", ".md"}, path.Ext(at)) || d.Name() == "Makefile" {
			b, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			tr.text[at] = string(b)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// documents calls check with each Markdown file, in the order of their names.
func (tr *tree) documents(check func(at, text string)) {
	var names []string
	for at := range tr.text {
		if path.Ext(at) == ".md" {
			names = append(names, at)
		}
	}
	slices.Sort(names)
	for _, at := range names {
		check(at, tr.text[at])
	}
}

var fence = regexp.MustCompile("(?ms)^ *(```|~~~).*?^ *(```|~~~) *$")

// prose is a document without its fenced and indented blocks of code.
func prose(text string) string {
	var out strings.Builder
	blank, inCode := true, false
	for line := range strings.Lines(fence.ReplaceAllString(text, "")) {
		empty := strings.TrimSpace(line) == ""
		inCode = !empty && strings.HasPrefix(line, "    ") && (blank || inCode)
		if !inCode {
			out.WriteString(line)
		}
		blank = empty
	}
	return out.String()
}

var code = regexp.MustCompile("`[^`]+`")

// heading is a heading of a document, below its title.
type heading struct {
	level        int
	text, anchor string
}

// headings are those of a document, in order, with the fragments that GitHub gives them: letters,
// digits, hyphens and underscores in lower case, blanks as hyphens.
func headings(text string) []heading {
	var found []heading
	for line := range strings.Lines(prose(text)) {
		level := len(line) - len(strings.TrimLeft(line, "#"))
		if level == 0 || level > 6 || line[level] != ' ' {
			continue
		}
		title := strings.TrimSpace(line[level:])
		var slug strings.Builder
		for _, r := range strings.ToLower(title) {
			switch {
			case r == ' ':
				slug.WriteByte('-')
			case r == '-', r == '_', unicode.IsLetter(r), unicode.IsDigit(r):
				slug.WriteRune(r)
			}
		}
		found = append(found, heading{level, title, slug.String()})
	}
	return found
}

func anchors(text string) map[string]bool {
	found := map[string]bool{}
	for _, h := range headings(text) {
		found[h.anchor] = true
	}
	return found
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

func TestLinks(t *testing.T) {
	tr, n := read(t), 0
	tr.documents(func(at, text string) {
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(prose(text), "code"), -1) {
			if regexp.MustCompile(`^[a-z]+:`).MatchString(m[1]) {
				continue
			}
			n++
			file, fragment, _ := strings.Cut(m[1], "#")
			to := at
			if file != "" {
				to = path.Join(path.Dir(at), file)
			}
			if !tr.paths[to] {
				t.Errorf("%s links to %s, which is not there", at, m[1])
			} else if fragment != "" && !anchors(tr.text[to])[fragment] {
				t.Errorf("%s links to %s, a heading that is not there", at, m[1])
			}
		}
	})
	if n < 20 {
		t.Errorf("%d links found", n)
	}
}

var (
	fileName = regexp.MustCompile(`^[\w./-]+\.(go|c|h|md|inc|map|svg|yml)$`)
	// Sources of others are named with the directory that they stand in there.
	foreign    = regexp.MustCompile(`^(wasmtime|crates|include|src|runtime|lib)/`)
	inTheTree  = regexp.MustCompile(`^(cmd|docs|examples|internal|test)/[\w./-]*$`)
	testName   = regexp.MustCompile(`\b(Test|Fuzz|Benchmark)[A-Z]\w*`)
	cName      = regexp.MustCompile(`^(flbwt|border)_\w+$`)
	makeTarget = regexp.MustCompile(`^make ([a-z][a-z0-9-]*)`)
	makeLine   = regexp.MustCompile(`(?m)^ {4,}make ([a-z][a-z0-9-]*)`)
)

// Files of what users write themselves, in examples, of libc, and of wasmtime.
var placeholders = []string{"filter.c", "mask.c", "main.go", "ctype.h", "RELEASES.md"}

func TestNames(t *testing.T) {
	tr, n := read(t), 0
	var sources strings.Builder
	for at, text := range tr.text {
		if path.Ext(at) != ".md" {
			sources.WriteString(text)
		}
	}
	defined := func(pattern string) bool {
		return regexp.MustCompile(pattern).MatchString(sources.String())
	}
	target := func(at, name string) {
		// The examples have a Makefile each.
		if !strings.HasPrefix(at, "examples/") && !regexp.MustCompile(`(?m)^`+name+`:`).MatchString(tr.text["Makefile"]) {
			t.Errorf("%s names make %s, which is not there", at, name)
		}
	}
	tr.documents(func(at, text string) {
		if at == "CHANGELOG.md" { // names what there was
			return
		}
		for _, m := range makeLine.FindAllStringSubmatch(text, -1) {
			target(at, m[1])
		}
		for _, m := range code.FindAllString(prose(text), -1) {
			name := strings.Trim(m, "`")
			switch {
			case foreign.MatchString(name), slices.Contains(placeholders, name):
				continue
			case fileName.MatchString(name), inTheTree.MatchString(name):
				name = strings.TrimSuffix(name, "/")
				known := tr.paths[name] || tr.paths[path.Join(path.Dir(at), name)] ||
					!strings.Contains(name, "/") && tr.bases[name]
				if !known {
					t.Errorf("%s names the file %s, which is not there", at, name)
				}
			case testName.MatchString(name):
				end := `\(`
				if strings.Contains(name, "-run") { // a pattern
					end = ``
				}
				for _, name := range testName.FindAllString(name, -1) {
					if !defined(`func ` + name + end) {
						t.Errorf("%s names %s, which is not there", at, name)
					}
				}
			case cName.MatchString(name):
				if !defined(`\b` + name + `\b`) {
					t.Errorf("%s names %s, which is not there", at, name)
				}
			case makeTarget.MatchString(name):
				target(at, makeTarget.FindStringSubmatch(name)[1])
			default:
				continue
			}
			n++
		}
	})
	if n < 100 {
		t.Errorf("%d names found", n)
	}
}
