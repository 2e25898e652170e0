// Package hostlog has the levels and limits of the host's log, and makes text fit for a
// line of a log or a terminal. What a module, a record or a far side says reaches either
// only through it: it can't end the line, move the cursor, turn the direction of writing
// or hide.
package hostlog

import (
	"bytes"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// MaxTextBytes bounds what one message quotes of somebody else's text.
	MaxTextBytes = 1024

	// MaxLineBytes bounds a line as a whole.
	MaxLineBytes = 16 << 10

	// maxNameBytes bounds a name within a message.
	maxNameBytes = 200

	// maxNames bounds how many names a message lists.
	maxNames = 10
)

// Printable returns text as one line of printable characters. Bytes that are control
// characters of ASCII, or not UTF-8, are written as \xNN, all else that is not printable
// (controls, marks of direction, characters without width or that only look like a
// space) as \u{N}. Of what is beyond max bytes only the length is told.
func Printable(text string, max int) string {
	text, cut := cutAt(text, max)
	if cut == 0 && isPrintable(text) {
		return text
	}
	b := appendPrintable(make([]byte, 0, len(text)+32), text, false)
	if cut > 0 {
		b = fmt.Appendf(b, " (%d more bytes)", cut)
	}
	return string(b)
}

// Line is Printable for a line that is complete.
func Line(text string) string { return Printable(text, MaxLineBytes) }

// Quote returns text in quotes, so that it is clear where it ends: as Printable, and
// with \" and \\ for the two that mean something there.
func Quote(text string, max int) string {
	text, cut := cutAt(text, max)
	b := append(appendPrintable([]byte{'"'}, text, true), '"')
	if cut > 0 {
		b = fmt.Appendf(b, " (%d more bytes)", cut)
	}
	return string(b)
}

// Name returns the name of an import or export: as it is if it can't be mistaken for
// anything else in a message, else in quotes.
func Name(name string) string {
	if name != "" && len(name) <= maxNameBytes && strings.Trim(name, plainInNames) == "" {
		return name
	}
	return Quote(name, maxNameBytes)
}

const plainInNames = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.$:-"

// List joins the items, worded by text, and of many only the first few with a count of
// the others.
func List[T any](items []T, text func(T) string) string {
	var list []string
	for _, item := range items[:min(len(items), maxNames)] {
		list = append(list, text(item))
	}
	joined := strings.Join(list, ", ")
	if more := len(items) - len(list); more > 0 {
		joined += fmt.Sprintf(" and %d more", more)
	}
	return joined
}

// Recover keeps a mistake of this program from taking the host down, if it is deferred: it
// stops a panic and logs it line by line, what it says and the stack. What the function
// returns then is what it has set its results to before; *err, unless err is nil, becomes
// an error that says so.
func Recover(log func(line string), doing string, err *error) {
	if r := recover(); r != nil {
		what := describe(doing, r)
		if err != nil {
			*err = errors.New(what)
		}
		logPanic(log, what)
	}
}

func describe(doing string, r any) string { return fmt.Sprintf("%s: panic: %v", doing, r) }

func logPanic(log func(line string), what string) {
	log(what)
	for line := range bytes.Lines(debug.Stack()) {
		log(strings.ReplaceAll(strings.TrimRight(string(line), "\n"), "\t", "    "))
	}
}

// Panics is for what is called again and again, by any goroutine, and may panic each time.
type Panics struct {
	mu      sync.Mutex
	last    time.Time
	leftOut int
}

// Recover is as the function, but logs one panic in ten seconds, with a count of those before it.
func (p *Panics) Recover(log func(line string), doing string) {
	r := recover()
	if r == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.last) < limitInterval {
		p.leftOut++
		return
	}
	what := describe(doing, r)
	if p.leftOut > 0 {
		what += fmt.Sprintf(" (%d more since the last such line)", p.leftOut)
	}
	p.last, p.leftOut = time.Now(), 0
	logPanic(log, what)
}

// Stray takes lines that belong to no filter or output. They go nowhere unless the program says where, before it
// starts any.
var Stray = func(line string) {}

// Guard returns f for a goroutine, thread or timer that has no log: a panic is logged by Stray, and ends f alone.
func Guard(doing string, f func()) func() {
	stray := Stray
	return func() {
		defer Recover(stray, doing, nil)
		f()
	}
}

// cutAt cuts text to max bytes, not within a character, and returns how many are gone.
func cutAt(text string, max int) (string, int) {
	if len(text) <= max {
		return text, 0
	}
	end := max
	for end > 0 && end > max-utf8.UTFMax && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end], len(text) - end
}

func isPrintable(text string) bool {
	for i := 0; i < len(text); i++ {
		if c := text[i]; c < ' ' || c > '~' {
			return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
		}
	}
	return true
}

func appendPrintable(b []byte, text string, quoted bool) []byte {
	const hex = "0123456789abcdef"
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1, r < ' ', r == 0x7f:
			b = append(b, '\\', 'x', hex[text[0]>>4], hex[text[0]&15])
		case quoted && (r == '"' || r == '\\'):
			b = append(b, '\\', text[0])
		case !unicode.IsPrint(r):
			b = append(strconv.AppendInt(append(b, `\u{`...), int64(r), 16), '}')
		default:
			b = append(b, text[:size]...)
		}
		text = text[size:]
	}
	return b
}
