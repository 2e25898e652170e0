package closest

import (
	"strings"
	"testing"
)

func TestTo(t *testing.T) {
	words := []string{"wasm_path", "timeout", "env", "run", "check", "memory_limit", "Filter"}
	for word, want := range map[string]string{
		"wasm_pth": "wasm_path", "wasmpath": "wasm_path", "wsam_path": "wasm_path", "wasm_paths": "wasm_path",
		"tiemout": "timeout", "enf": "env", "chek": "check", "filter": "Filter", "FILTER_": "Filter",
		"": "", "x": "", "xyz": "", "memory": "", "walk": "", "retry_limit": "", strings.Repeat("a", 1<<20): "",
	} {
		if got := To(word, words); got != want {
			t.Errorf("%.20q: %q, want %q", word, got, want)
		}
	}
	if got := To("abc", nil); got != "" {
		t.Errorf("%q of no words", got)
	}
}

func TestDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"abc", "acb", 1},
		{"kitten", "sitting", 3}, {"ca", "abc", 3},
	} {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("%q, %q: %d, want %d", test.a, test.b, got, test.want)
		}
	}
}
