package scaffold

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const sdks = "../../sdk"

// What is made has no word left that was to be replaced, and all files that its README names.
func TestNew(t *testing.T) {
	for _, l := range Languages {
		t.Run(l.Name, func(t *testing.T) {
			if _, err := os.Stat(filepath.Join(sdks, l.sdk)); err != nil {
				t.Skipf("NOT TESTED: the template for %s, for want of its SDK: %v", l.Title, err)
			}
			dir := filepath.Join(t.TempDir(), "mask-it_2")
			if err := l.New(dir, sdks); err != nil {
				t.Fatal(err)
			}
			own := map[string]string{}
			err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				text, err := os.ReadFile(path)
				name, _ := filepath.Rel(dir, path)
				own[name] = string(text)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"README.md", "Makefile", l.Source, "cases/common.yaml", "cases/first.yaml", "fluent-bit.conf", "fluent-bit.yaml", "sample.ndjson", l.into + "/LICENSE"} {
				if own[name] == "" {
					t.Errorf("%s is missing", name)
				}
			}
			for name, text := range own {
				if strings.HasPrefix(name, l.into+"/") {
					continue
				}
				if strings.Contains(text, "{{") || strings.Contains(name, ".tmpl") || strings.HasPrefix(name, "_") {
					t.Errorf("%s has a word in it that was to be replaced: %s", name, regexp.MustCompile(`.*{{.*`).FindString(text))
				}
			}
			for _, name := range regexp.MustCompile("(?m)^\\| `([^`]+)`").FindAllStringSubmatch(own["README.md"], -1) {
				if _, err := os.Stat(filepath.Join(dir, name[1])); err != nil {
					t.Errorf("README.md names %s: %v", name[1], err)
				}
			}
			if err := l.New(dir, sdks); err == nil || !strings.Contains(err.Error(), "is there already, and not empty") {
				t.Errorf("made over what is there: %v", err)
			}
		})
	}
}

func TestNames(t *testing.T) {
	for name, ok := range map[string]bool{"a": true, "mask-it": true, "a_b2": true, "": false, "-a": false, "a-": false, "A": false, "2a": false,
		"a b": false, "a--b": false, "é": false, "..": false, "{{name}}": false, "$(rm)": false} {
		dir := filepath.Join(t.TempDir(), name)
		if name == "" {
			dir = ""
		}
		err := Languages[0].New(dir, sdks)
		if (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := Find("rsut"); err == nil || !strings.Contains(err.Error(), `there is no template for "rsut" (did you mean rust?): known are rust`) {
		t.Error(err)
	}
	// Where there are no SDKs nothing is begun.
	dir := filepath.Join(t.TempDir(), "a")
	if err := Languages[0].New(dir, t.TempDir()); err == nil || !strings.Contains(err.Error(), "does not hold the SDK for Rust: ") || !strings.Contains(err.Error(), "--sdk") {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: %v", dir, err)
	}
}

// The SDKs are found next to a program that is installed, by a link too, and to one that has been built.
func TestFindSDKs(t *testing.T) {
	root := t.TempDir()
	put := func(name string) string {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	program := put("usr/bin/flb-wasmtime")
	if _, err := FindSDKs(program); err == nil || !strings.Contains(err.Error(), "--sdk") {
		t.Error(err)
	}
	put("usr/share/fluent-bit-wasmtime/sdk/rust/Cargo.toml")
	link := filepath.Join(root, "link")
	if err := os.Symlink(program, link); err != nil {
		t.Fatal(err)
	}
	built := put("source/build/flb-wasmtime")
	put("source/sdk/rust/Cargo.toml")
	for p, want := range map[string]string{program: "usr/share/fluent-bit-wasmtime/sdk", link: "usr/share/fluent-bit-wasmtime/sdk", built: "source/sdk"} {
		got, err := FindSDKs(p)
		real, _ := filepath.EvalSymlinks(filepath.Join(root, want))
		if err != nil || got != real && got != filepath.Join(root, want) {
			t.Errorf("%s: %s, %v", p, got, err)
		}
	}
}

// Each language has its own name and SDK.
func TestLanguages(t *testing.T) {
	names := Names()
	if slices.Sort(names); len(slices.Compact(names)) != len(Languages) {
		t.Error(Names())
	}
}
