package hostlog

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestGuestOutput(t *testing.T) {
	var got []string
	l := NewLimiter(func(_ Level, line string) { got = append(got, line) })
	l.GuestOutput(Info, "> ", []byte("a\x1b[31mred\r\n\n\tb\xff\x00\nlast"))
	want := []string{`> a\x1b[31mred`, "> ", ">     b\\xff\\x00", "> last"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got = nil
	now := l.now().Add(limitInterval)
	l.now = func() time.Time { return now }
	l.GuestOutput(Info, "> ", []byte(strings.Repeat("x", 2000)+strings.Repeat("\ny", 150)))
	if len(got) != maxGuestLines || got[0] != "> "+strings.Repeat("x", 1024)+" (976 more bytes)" {
		t.Errorf("%d lines: %.40q", len(got), got[0])
	}
	got = nil
	now = now.Add(limitInterval)
	l.GuestOutput(Info, "> ", []byte("z"))
	if diff := cmp.Diff([]string{"51 lines that the guest wrote were left out", "> z"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestLimiter(t *testing.T) {
	var got []string
	l := NewLimiter(func(level Level, line string) { got = append(got, fmt.Sprint(level, " ", line)) })
	now := time.Unix(0, 0)
	l.now = func() time.Time { return now }
	say := func(cause, line string) { l.Limited(Error, cause, func() string { return line }) }

	say("a", "a1")
	say("a", "a2")
	say("b", "b1")
	now = now.Add(limitInterval - 1)
	say("a", "a3")
	now = now.Add(1)
	say("a", "a4")
	say("a", "a5")
	l.Close()
	want := []string{"1 a1", "1 b1", "1 a4 (2 more like this since the last such line)", "1 1 more like the last one about: a"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Where nothing is to be left out, nothing is.
func TestLogAll(t *testing.T) {
	var got int
	l := NewLimiter(func(Level, string) { got++ })
	l.LogAll()
	for range 3 * maxGuestLines {
		l.Limited(Error, "a", func() string { return "again" })
		l.GuestOutput(Info, "> ", []byte("x"))
	}
	l.Close()
	if got != 6*maxGuestLines {
		t.Errorf("%d lines", got)
	}
}

// Whatever is logged is one line of what can be seen.
func TestLimiterWritesLines(t *testing.T) {
	var lines []string
	l := NewLimiter(func(_ Level, line string) { lines = append(lines, line) })
	const text = "a\nb\x1b[2K\u202e"
	l.Always(Info, text)
	l.Limited(Error, text, func() string { return text })
	l.Limited(Error, text, func() string { return text })
	l.Close()
	want := `a\x0ab\x1b[2K\u{202e}`
	if diff := cmp.Diff([]string{want, want, "1 more like the last one about: " + want}, lines); diff != "" {
		t.Error(diff)
	}
}
