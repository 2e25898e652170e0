// Package scaffold makes the directory of a new filter: one that builds, with its tests, cases, a pipeline of Fluent
// Bit, and a copy of the SDK of its language.
package scaffold

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/closest"
)

// templates are files as they are to be, but for {{words}}. In their names a leading _ stands for a dot, and
// .tmpl is left out.
//
//go:embed all:templates
var templates embed.FS

// Language is one that a filter can be written in.
type Language struct {
	Name   string // as on the command line
	Title  string
	Source string // the file to edit

	templates []string // directories, of which later ones win
	sdk       string   // directory of the SDK
	into      string   // where the copy is
	parts     []string // of the SDK, what is copied: files and directories
	tests     string   // where the filter's tests are, for the README
	standard  string   // of the language, for compilers that want to be told
}

// Languages are all that there are.
var Languages = []Language{
	{
		Name: "rust", Title: "Rust", Source: "src/lib.rs", tests: "the filter, and its tests",
		templates: []string{"common", "rust"}, sdk: "rust", into: "flb-filter", parts: []string{"Cargo.toml", "LICENSE", "README.md", "src"},
	},
	{
		Name: "go", Title: "Go", Source: "main.go", tests: "the filter; `main_test.go` tests it",
		templates: []string{"common", "go", "go-make"}, sdk: "go", into: "flb", parts: []string{"."},
	},
	{
		Name: "tinygo", Title: "Go, for TinyGo", Source: "main.go", tests: "the filter; `main_test.go` tests it",
		templates: []string{"common", "go", "tinygo-make"}, sdk: "go", into: "flb", parts: []string{"."},
	},
	{
		Name: "c", Title: "C", Source: "filter.c", tests: "the filter; `test.c` tests it", standard: "c11",
		templates: []string{"common", "c-make", "c"}, sdk: "c", into: "flb", parts: []string{"LICENSE", "README.md", "flb_filter.h", "flb_test.h"},
	},
	{
		Name: "cpp", Title: "C++", Source: "filter.cc", tests: "the filter; `test.cc` tests it", standard: "c++17",
		templates: []string{"common", "c-make", "cpp"}, sdk: "c", into: "flb", parts: []string{"LICENSE", "README.md", "flb_filter.h", "flb_test.h"},
	},
	{
		Name: "assemblyscript", Title: "AssemblyScript", Source: "filter.ts", tests: "the filter; `filter.test.js` tests it",
		templates: []string{"common", "assemblyscript"}, sdk: "assemblyscript", into: "flb-filter",
		parts: []string{"LICENSE", "README.md", "asconfig.json", "index.ts", "lib", "module.ts", "package.json", "stateful.ts", "testing.js", "tick.ts"},
	},
	{
		Name: "zig", Title: "Zig", Source: "filter.zig", tests: "the filter, and its tests",
		templates: []string{"common", "zig"}, sdk: "zig", into: "flb",
		parts: []string{"LICENSE", "README.md", "src"},
	},
}

// Names are those of all languages.
func Names() (names []string) {
	for _, l := range Languages {
		names = append(names, l.Name)
	}
	return names
}

// Find returns the language of that name.
func Find(name string) (Language, error) {
	i := slices.IndexFunc(Languages, func(l Language) bool { return l.Name == name })
	if i < 0 {
		hint := closest.Hint(name, Names(), func(w string) string { return w })
		return Language{}, fmt.Errorf("there is no template for %q%s: known are %s", name, hint, strings.Join(Names(), ", "))
	}
	return Languages[i], nil
}

// validName is what all languages and build tools take as the name of a package.
var validName = regexp.MustCompile(`^[a-z][a-z0-9]*([_-][a-z0-9]+)*$`)

// New makes the directory, which must not be there, or be empty. Its last part is the filter's name. sdks is the
// directory that has those of all languages.
func (l Language) New(dir, sdks string) error {
	name := filepath.Base(filepath.Clean(dir))
	if !validName.MatchString(name) {
		return fmt.Errorf("%q can't be the name of a filter: begin with a letter, and take lower-case letters, digits, - and _ alone", name)
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is there already, and not empty: choose another name", dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, part := range l.parts { // before there is anything that would have to be removed
		if _, err := os.Stat(filepath.Join(sdks, l.sdk, part)); err != nil {
			return fmt.Errorf("%s does not hold the SDK for %s: %w; name the directory sdk of the project's source with --sdk", sdks, l.Title, err)
		}
	}
	words := strings.NewReplacer("{{name}}", name, "{{ident}}", strings.ReplaceAll(name, "-", "_"), "{{language}}", l.Title,
		"{{source}}", l.Source, "{{tests}}", l.tests, "{{sdk}}", l.into, "{{standard}}", l.standard)
	for _, from := range l.templates {
		root, err := fs.Sub(templates, path.Join("templates", from))
		if err != nil {
			return err
		}
		err = copyTree(root, ".", dir, func(name, text string) (string, string) {
			base := strings.TrimSuffix(filepath.Base(name), ".tmpl")
			if rest, ok := strings.CutPrefix(base, "_"); ok {
				base = "." + rest
			}
			return filepath.Join(filepath.Dir(name), base), words.Replace(text)
		})
		if err != nil {
			return err
		}
	}
	for _, part := range l.parts {
		if err := copyTree(os.DirFS(filepath.Join(sdks, l.sdk)), part, filepath.Join(dir, l.into), nil); err != nil {
			return fmt.Errorf("the SDK for %s can't be copied: %w", l.Title, err)
		}
	}
	return nil
}

// copyTree copies a file, or the files of a directory, as edit gives them; nil: as they are, without Go's tests.
func copyTree(from fs.FS, part, to string, edit func(name, text string) (string, string)) error {
	return fs.WalkDir(from, part, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if strings.HasSuffix(p, "_test.go") && edit == nil {
			return nil // of the SDK itself
		}
		text, err := fs.ReadFile(from, p)
		if err != nil {
			return err
		}
		name, edited := filepath.FromSlash(p), string(text)
		if edit != nil {
			name, edited = edit(name, edited)
		}
		target := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o777); err != nil {
			return err
		}
		return os.WriteFile(target, []byte(edited), 0o666)
	})
}

// FindSDKs returns the directory of the SDKs that belongs to a program: where it is installed, or built.
func FindSDKs(program string) (string, error) {
	if real, err := filepath.EvalSymlinks(program); err == nil {
		program = real
	}
	bin := filepath.Dir(program)
	var tried []string
	for _, dir := range []string{"../share/fluent-bit-wasmtime/sdk", "../sdk"} {
		dir = filepath.Join(bin, dir)
		if _, err := os.Stat(filepath.Join(dir, "rust", "Cargo.toml")); err == nil {
			return dir, nil
		}
		tried = append(tried, dir)
	}
	return "", fmt.Errorf("the SDKs are neither in %s: name the directory sdk of the project's source with --sdk", strings.Join(tried, " nor in "))
}
