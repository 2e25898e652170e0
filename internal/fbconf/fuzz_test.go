package fbconf

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// newTestLoader makes a loader to which no file exists.
func newTestLoader() *loader {
	return &loader{
		env:  env(map[string]string{"HOME": "/root"}),
		vars: map[string]string{},
		seen: map[string]bool{},
		files: files{
			read:   func(string) ([]byte, error) { return nil, fs.ErrNotExist },
			exists: func(string) bool { return false },
			glob:   func(string) ([]string, error) { return nil, nil },
		},
	}
}

// fuzzLoad reads data as the one file there is, and checks what holds for every
// configuration that loads.
func fuzzLoad(t *testing.T, data []byte, read func(*loader) func(string, position) error) {
	l := newTestLoader()
	l.files.read = func(path string) ([]byte, error) {
		if path == "main" {
			return data, nil
		}
		return nil, fs.ErrNotExist
	}
	if err := read(l)("main", position{}); err != nil {
		if !strings.HasPrefix(err.Error(), "main:") {
			t.Errorf("error without a place: %v", err)
		}
		return
	}
	l.expandAll()
	lines := strings.Count(string(data), "\n") + 1
	for _, s := range l.config.Sections {
		for _, p := range s.Properties {
			if p.Line < 0 || p.Line > lines {
				t.Errorf("property %q is on line %d of %d", p.Key, p.Line, lines)
			}
			if p.Key != strings.ToLower(p.Key) {
				t.Errorf("key %q is not in lower case", p.Key)
			}
		}
		if name, _ := s.Get("NAME"); name != s.Name {
			t.Errorf("name %q, property %q", s.Name, name)
		}
	}
}

func FuzzLoadClassic(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzLoad(t, data, func(l *loader) func(string, position) error { return l.classic })
	})
}

func FuzzLoadYAML(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzLoad(t, data, func(l *loader) func(string, position) error { return l.yaml })
	})
}

// FuzzMatchTag compares with the same rule told to another matcher.
func FuzzMatchTag(f *testing.F) {
	for _, s := range [][2]string{{"*", "a"}, {"a*b*c", "aXbYbc"}, {"", ""}, {"**.*", "a.b"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, tag string) {
		if !utf8.ValidString(pattern) || !utf8.ValidString(tag) {
			t.Skip("package regexp compares characters, MatchTag bytes")
		}
		want := regexp.MustCompile(`(?s)\A` + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, `.*`) + `\z`).MatchString(tag)
		if got := MatchTag(pattern, tag); got != want {
			t.Errorf("MatchTag(%q, %q) = %t", pattern, tag, got)
		}
	})
}
