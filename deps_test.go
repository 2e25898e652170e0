package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What only the command needs is not in the object that Fluent Bit loads.
func TestPluginDependencies(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(out), "/internal/filter\n") {
		t.Fatalf("no list of packages: %.200s", out)
	}
	for _, path := range []string{"dlclark/regexp2", "spf13/", "progressbar", "go.opentelemetry.io/", "google.golang.org/protobuf", "/mmdbwriter", "oras.land/", "/opencontainers/", "/secure-systems-lab/", "golang.org/x/crypto/scrypt", "/internal/registry", "/internal/cosign", "/internal/fbconf", "/internal/trial", "/internal/golden", "/internal/scaffold", "/internal/play", "/internal/command"} {
		if strings.Contains(string(out), path) {
			t.Errorf("the plugin has %s in it", path)
		}
	}
}

// What C files include is below them, as it is for Go (.depguard.json).
func TestIncludes(t *testing.T) {
	below := map[string][]string{
		"internal/fast":     {},
		"internal/capi":     {},
		"internal/bounds":   {"internal/capi"},
		"internal/state":    {},
		"internal/tables":   {"internal/fast"},
		"internal/hostcall": {"internal/capi", "internal/bounds", "internal/state", "internal/tables", "internal/fast"},
		"internal/guest":    {"internal/capi", "internal/bounds", "internal/hostcall", "internal/fast"},
		"internal/delivery": {"internal/guest", "internal/fast", "internal/state"},
		".":                 {"internal/guest", "internal/delivery", "internal/bounds", "internal/fast"},
	}
	include := regexp.MustCompile(`(?m)^(?://)?\s*#\s*include "([^"]*)"`)
	var files []string
	for _, pattern := range []string{"*.c", "*.h", "*.go", "internal/*/*.c", "internal/*/*.h", "internal/*/*.go"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatal(pattern, found, err)
		}
		files = append(files, found...)
	}
	seen := make(map[string]bool)
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Dir(file)
		for _, m := range include.FindAllStringSubmatch(string(content), -1) {
			from := filepath.Dir(filepath.Join(dir, m[1]))
			allowed, known := below[dir]
			if from != dir && (!known || !slices.Contains(allowed, from)) {
				t.Errorf("%s includes %s: %s is not below %s", file, m[1], from, dir)
			}
			seen[dir] = true
		}
	}
	for dir := range below {
		if !seen[dir] {
			t.Errorf("no include was found in %s", dir)
		}
	}
}

// Go takes no memory of C's that is not cleared: test/dirtyheap says what else happens where Go writes a pointer to.
func TestCMemoryIsCleared(t *testing.T) {
	allocates := regexp.MustCompile(`\bC\.(malloc|calloc|realloc)\(`)
	seen := false
	for _, pattern := range []string{"*.go", "cmd/*/*.go", "internal/*/*.go", "internal/*/*/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, files, err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range allocates.FindAllStringSubmatch(string(content), -1) {
				seen = true
				if m[1] != "calloc" {
					t.Errorf("%s: C.%s, where C.calloc has to be", file, m[1])
				}
			}
		}
	}
	if !seen {
		t.Error("no file allocates memory of C's")
	}
}
