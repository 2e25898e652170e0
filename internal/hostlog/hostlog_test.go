package hostlog

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "",
		"plain text, {\"a\":1} \\x":      "plain text, {\"a\":1} \\x",
		"Grüße 日本 🙂":                     "Grüße 日本 🙂",
		"a\x1b[31mb":                     `a\x1b[31mb`,
		"one\ntwo\r\tthree\x00\x7f":      `one\x0atwo\x0d\x09three\x00\x7f`,
		"\u202e\u2066\u200b\ufeff":       `\u{202e}\u{2066}\u{200b}\u{feff}`,
		"\u0085\u009b\u00a0\u2028\u00ad": `\u{85}\u{9b}\u{a0}\u{2028}\u{ad}`,
		"\U000e0041\U0010ffff\ue000":     `\u{e0041}\u{10ffff}\u{e000}`,
		"\xff\xc0\x80\xed\xa0\x80é":      `\xff\xc0\x80\xed\xa0\x80é`,
		"\xe2\x80":                       `\xe2\x80`,
		"\ufffd":                         "\ufffd",
	} {
		if got := Printable(text, 100); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	for _, test := range []struct {
		text string
		most int
		want string
	}{
		{"12345", 5, "12345"},
		{"123456", 5, "12345 (1 more bytes)"},
		{"1234é", 5, "1234 (2 more bytes)"},
		{"é", 1, " (2 more bytes)"},
		{"\x80\x80\x80\x80\x80\x80", 5, `\x80 (5 more bytes)`},
		{"a\n\n", 2, `a\x0a (1 more bytes)`},
	} {
		if got := Printable(test.text, test.most); got != test.want {
			t.Errorf("%q in %d: %q, want %q", test.text, test.most, got, test.want)
		}
	}
}

func TestQuote(t *testing.T) {
	for text, want := range map[string]string{
		"":             `""`,
		`a"b\c`:        `"a\"b\\c"`,
		"a\n\u202eb":   `"a\x0a\u{202e}b"`,
		"12345678901x": `"1234567890" (2 more bytes)`,
	} {
		if got := Quote(text, 10); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestName(t *testing.T) {
	long := strings.Repeat("x", maxNameBytes+1)
	for name, want := range map[string]string{
		"filter":                          "filter",
		"wasi_snapshot_preview1.fd_write": "wasi_snapshot_preview1.fd_write",
		"core::fmt$1-x":                   "core::fmt$1-x",
		"":                                `""`,
		"a b":                             `"a b"`,
		"a, b":                            `"a, b"`,
		`a"`:                              `"a\""`,
		"é":                               `"é"`,
		"a\nb":                            `"a\x0ab"`,
		long:                              `"` + long[1:] + `" (1 more bytes)`,
	} {
		if got := Name(name); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}

func TestList(t *testing.T) {
	same := func(s string) string { return s }
	many := strings.Split(strings.Repeat("x", 100_000), "")
	for want, items := range map[string][]string{
		"":                             nil,
		"a":                            {"a"},
		"a, b":                         {"a", "b"},
		"x, x, x, x, x, x, x, x, x, x": many[:10],
		"x, x, x, x, x, x, x, x, x, x and 99990 more": many,
	} {
		if got := List(items, same); got != want {
			t.Errorf("%d items: %s, want %s", len(items), got, want)
		}
	}
}

// All of Unicode, and all bytes: one line, of what can be seen.
func FuzzPrintable(f *testing.F) {
	var all strings.Builder
	for r := rune(0); r <= unicode.MaxRune; r += 7 {
		all.WriteRune(r)
	}
	f.Add(all.String(), 1<<20)
	var bytes []byte
	for b := range 256 {
		bytes = append(bytes, byte(b), 'x')
	}
	f.Add(string(bytes), 300)
	f.Add("a\x1b[2J\u202e", 3)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		limit = max(limit, 0)
		for _, got := range []string{Printable(text, limit), Quote(text, limit), Name(text), Line(text)} {
			if !utf8.ValidString(got) {
				t.Errorf("not UTF-8: %q", got)
			}
			for _, r := range got {
				if r < ' ' || r > '~' && r < 0xa1 || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) ||
					unicode.Is(unicode.Co, r) || unicode.Is(unicode.Cs, r) {
					t.Fatalf("%U in %q", r, got)
				}
			}
		}
		if cut := Printable(text, limit); len(cut) > 10*limit+40 {
			t.Errorf("%d bytes of at most %d", len(cut), limit)
		}
	})
}

// A function that panics returns what it has set before, and the log says where it
// happened, in lines.
func TestRecover(t *testing.T) {
	var lines []string
	log := func(line string) { lines = append(lines, line) }
	fails := func(err *error) (result int) {
		result = 2
		defer Recover(log, "filter", err)
		var none []int
		return none[result]
	}
	const want = "filter: panic: runtime error: index out of range [2] with length 0"
	var err error
	if got := fails(nil); got != 2 {
		t.Errorf("%d, want 2", got)
	}
	if got := fails(&err); got != 2 || err == nil || err.Error() != want {
		t.Errorf("%d, %v", got, err)
	}
	if len(lines) < 6 || lines[0] != want || !strings.Contains(strings.Join(lines[:len(lines)/2], " "), "hostlog_test.go") {
		t.Errorf("%q", lines)
	}
	for _, line := range lines {
		if strings.ContainsAny(line, "\n\t") {
			t.Errorf("%q", line)
		}
	}
	lines = nil
	func() { defer Recover(log, "filter", &err) }()
	if len(lines) > 0 {
		t.Errorf("no panic: %q", lines)
	}
}

// What panics again and again is logged once in a while, with a count.
func TestPanicsAreBounded(t *testing.T) {
	var lines []string
	var p Panics
	fails := func() {
		defer p.Recover(func(line string) { lines = append(lines, line) }, "metrics")
		panic("again")
	}
	for range 100 {
		fails()
	}
	if n := len(lines); n < 5 || n > 50 || lines[0] != "metrics: panic: again" {
		t.Fatalf("%d lines of 100 panics, the first is %q", n, lines[:min(n, 1)])
	}
	lines = nil
	p.last = p.last.Add(-limitInterval)
	fails()
	if len(lines) == 0 || lines[0] != "metrics: panic: again (99 more since the last such line)" {
		t.Errorf("%q", lines)
	}
}

// A panic of what has no log ends it alone, and is told.
func TestGuard(t *testing.T) {
	defer func(f func(string)) { Stray = f }(Stray)
	told := make(chan string, 100)
	Stray = func(line string) { told <- line }
	ran := false
	Guard("stats", func() { ran = true })()
	if !ran || len(told) > 0 {
		t.Errorf("ran: %t, %d lines", ran, len(told))
	}
	go Guard("stats", func() { panic("a mistake") })()
	if line := <-told; line != "stats: panic: a mistake" {
		t.Errorf("%q", line)
	}
}
