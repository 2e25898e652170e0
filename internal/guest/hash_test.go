package guest

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
)

// A file that has another hash than the one asked for is refused, whatever it is: before it is
// parsed, and though a module of the same content is loaded already.
func TestHash(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "m.wat")
	compiled := filepath.Join(dir, "m.cwasm")
	if err := os.WriteFile(text, []byte(guests.WAT("identity")), 0o600); err != nil {
		t.Fatal(err)
	}
	sum := func(path string) string {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		s := sha256.Sum256(content)
		return hex.EncodeToString(s[:])
	}
	if _, err := Compile(text, compiled, CompileConfig{SHA256: sum(text)}); err != nil {
		t.Fatal(err)
	}
	rubbish := filepath.Join(dir, "rubbish.wasm")
	if err := os.WriteFile(rubbish, []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	loaded := load(t, guests.WAT("identity"))
	defer loaded.Close()
	for _, path := range []string{text, compiled} {
		source := Source{Path: path, SHA256: sum(path), AllowPrecompiled: true}
		m, err := Load(source)
		if err != nil {
			t.Fatal(err)
		}
		m.Close()
	}
	for _, path := range []string{text, compiled, rubbish} {
		wrong := strings.Repeat("0", 64)
		_, err := Load(Source{Path: path, SHA256: wrong, AllowPrecompiled: true})
		if err == nil {
			t.Fatalf("%s: no error", path)
		}
		for _, part := range []string{path, sum(path), wrong, "wasm_sha256"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q is not in: %v", part, err)
			}
		}
	}
	out := filepath.Join(dir, "other.cwasm")
	if _, err := Compile(text, out, CompileConfig{SHA256: sum(compiled)}); err == nil {
		t.Error("another file is compiled")
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("something was written")
	}
}
