package hostcall

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/fbconf"
)

// FuzzTagMatches compares with how Match is read.
func FuzzTagMatches(f *testing.F) {
	for _, p := range []string{"", "*", "**", "a", "a*", "*a", "*a*", "a*a", "ab*ab", "a*b*c", "*.*", "tenant.*.log", "aa*aa*aa"} {
		for _, tag := range []string{"a", "aa", "aaa", "ab", "abab", "aba", "abc", "axbxc", "tenant.x.log", "tenant..log", "*", "aaaaaa", "aaaaa"} {
			f.Add(p, tag)
		}
	}
	f.Fuzz(func(t *testing.T, pattern, tag string) {
		if want, got := fbconf.MatchTag(pattern, tag), TagMatches(pattern, tag); want != got {
			t.Errorf("%q, %q: %v, want %v", pattern, tag, got, want)
		}
	})
}

// The same for many short ones of few letters.
func TestTagMatches(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	of := func(letters string, n int) string {
		var b strings.Builder
		for range random.IntN(n) {
			b.WriteByte(letters[random.IntN(len(letters))])
		}
		return b.String()
	}
	matched := 0
	for range 200_000 {
		pattern, tag := of("ab*", 8), of("ab", 10)
		want := fbconf.MatchTag(pattern, tag)
		if got := TagMatches(pattern, tag); got != want {
			t.Fatalf("%q, %q: %v, want %v", pattern, tag, got, want)
		}
		if want {
			matched++
		}
	}
	if matched < 10_000 {
		t.Errorf("%d match", matched)
	}
}

// No pattern takes long: one that would have every place tried from each is done in less time than a search
// that does so takes for a single tag.
func TestTagMatchesInTime(t *testing.T) {
	pattern, tag := strings.Repeat("a*", 500)+"b", strings.Repeat("a", 1024)
	began := time.Now()
	for range 1000 {
		if TagMatches(pattern, tag) {
			t.Fatal("it matches")
		}
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("%v for 1,000 tags", took)
	}
}
