package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// cache is a directory for compiled modules of recipes, which Go has built and which take a second each.
var cache string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "docs")
	if err != nil {
		panic(err)
	}
	cache = filepath.Join(dir, "cache")
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

var recipesBuilt = sync.OnceValue(func() error {
	out, err := exec.Command("make", "-s", "--no-print-directory", "-C", filepath.Join(root, "examples/recipes")).CombinedOutput()
	if err != nil {
		return &exec.Error{Name: "make: " + string(out), Err: err}
	}
	return nil
})

func buildRecipes(t *testing.T) {
	t.Helper()
	if err := recipesBuilt(); err != nil {
		t.Fatal(err)
	}
}

// built returns the path of a program in build/.
func built(t *testing.T, name string) string {
	t.Helper()
	file, err := filepath.Abs(filepath.Join(root, "build", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Fatalf("%v: run make build", err)
	}
	return file
}

var quotation = regexp.MustCompile(`(?m)^<!-- (template|recipe|program|build|source): (\S+) -->\n`)

// quotations are the blocks of code after comments of that kind, by name.
func quotations(t *testing.T, kind string) map[string]string {
	t.Helper()
	all := map[string]string{}
	read(t).documents(func(at, text string) {
		for _, m := range quotation.FindAllStringSubmatchIndex(text, -1) {
			if text[m[2]:m[3]] == kind {
				all[at+" "+text[m[4]:m[5]]] = blocks(text[m[1]:])[0].text
			}
		}
	})
	return all
}

// Code that stands in a document, too, is the same in both places.
func TestQuotations(t *testing.T) {
	check := func(kind, directory string, whole bool, count int) {
		found := quotations(t, kind)
		for at, quoted := range found {
			_, name, _ := strings.Cut(at, " ")
			if kind == "recipe" {
				name = filepath.Join(name, "main.go")
			}
			source, err := os.ReadFile(filepath.Join(root, directory, name))
			if err != nil {
				t.Fatal(err)
			}
			text := strings.ReplaceAll(string(source), "{{name}}", "mask")
			if whole && text != quoted || !whole && !strings.Contains(text, quoted) {
				t.Errorf("%s: %s has other code", at, filepath.Join(directory, name))
			}
		}
		if len(found) != count {
			t.Errorf("%d blocks of %s, want %d", len(found), directory, count)
		}
	}
	recipes, err := filepath.Glob(filepath.Join(root, "examples/recipes/*/main.go"))
	if err != nil {
		t.Fatal(err)
	}
	check("recipe", "examples/recipes", true, len(recipes))
	check("template", "internal/scaffold/templates", false, 5)
	check("source", "", true, 9)
}

// The recipes pass their cases.
func TestRecipes(t *testing.T) {
	buildRecipes(t)
	cmd := exec.Command(built(t, "flb-wasmtime"), "test", "--cache-dir", cache, ".")
	cmd.Dir = filepath.Join(root, "examples/recipes")
	out, err := cmd.CombinedOutput()
	if err != nil || !regexp.MustCompile(`(?m)^\d\d passed, 0 failed, 0 could not be run$`).Match(out) {
		t.Errorf("%v\n%s", err, out)
	}
}

// start writes a program of the quick start into a directory, with what else it needs.
func start(t *testing.T, language, name string) (dir string) {
	t.Helper()
	program := quotations(t, "program")["docs/quickstart.md "+language]
	if program == "" {
		t.Fatalf("there is no program in %s", language)
	}
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(program), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func shell(t *testing.T, dir, line string) string {
	t.Helper()
	cmd := exec.Command("sh", "-ec", line)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}

// The filter in C of the quick start does what those that flb-wasmtime new makes do.
func TestQuickStartC(t *testing.T) {
	dir := start(t, "c", "mask.c")
	sdk, err := filepath.Abs(filepath.Join(root, "sdk/c"))
	if err != nil {
		t.Fatal(err)
	}
	shell(t, dir, "cp "+sdk+"/*.h .")
	test := quotations(t, "program")["docs/languages/c.md c-test"]
	if err := os.WriteFile(filepath.Join(dir, "test.c"), []byte(test), 0o644); err != nil {
		t.Fatal(err)
	}
	shell(t, dir, "cc -o test test.c && ./test")
	if _, err := exec.LookPath("clang-19"); err != nil {
		t.Skip("NOT TESTED: the module of the quick start in C: there is no clang-19")
	}
	shell(t, dir, quotations(t, "build")["docs/quickstart.md c"])
	passesCases(t, dir)
}

// passesCases runs cases of the templates of flb-wasmtime new with mask.wasm.
func passesCases(t *testing.T, dir string) {
	t.Helper()
	cases, err := filepath.Abs(filepath.Join(root, "internal/scaffold/templates/common/cases"))
	if err != nil {
		t.Fatal(err)
	}
	out := shell(t, dir, built(t, "flb-wasmtime")+" test --wasm-path mask.wasm "+cases+"/first.yaml "+cases+"/metadata.yaml")
	if !strings.Contains(out, "2 passed, 0 failed") {
		t.Error(out)
	}
}

// So does the one in AssemblyScript.
func TestQuickStartAssemblyScript(t *testing.T) {
	dir := start(t, "assemblyscript", "mask.ts")
	sdk, err := filepath.Abs(filepath.Join(root, "sdk/assemblyscript"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(sdk, "node_modules/.bin/asc")); err != nil {
		t.Skipf("NOT TESTED: the quick start in AssemblyScript: %v: run npm ci there", err)
	}
	shell(t, dir, "mkdir node_modules && ln -s "+sdk+"/node_modules/* "+sdk+"/node_modules/.bin node_modules && ln -s "+sdk+" node_modules/flb-filter")
	shell(t, dir, quotations(t, "build")["docs/quickstart.md assemblyscript"])
	passesCases(t, dir)
	test := quotations(t, "program")["docs/languages/assemblyscript.md assemblyscript-test"]
	if err := os.WriteFile(filepath.Join(dir, "mask.test.mjs"), []byte(test), 0o644); err != nil {
		t.Fatal(err)
	}
	shell(t, dir, "node --test mask.test.mjs")
}
