package hostlog

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"time"
)

const (
	// limitInterval is the least time between two lines about one cause.
	limitInterval = 10 * time.Second

	// maxGuestLines is how many lines of a guest's output are logged per limitInterval.
	maxGuestLines = 100
)

// Limiter writes to a log, about things that may happen with each record not too often:
// once per cause and ten seconds, with a count of what was left out. What it tells causes
// apart by is a few fixed words, never text of a record, a guest or a far side, so that it
// stays small. Each line that it writes is one printable line, whatever it was given. It
// must not be used by two goroutines at once.
type Limiter struct {
	log    func(Level, string)
	now    func() time.Time
	all    bool // nothing is left out
	causes map[string]*recent

	guestSince   time.Time // since when guestLines are counted
	guestLines   int
	guestLeftOut int // lines left out since then
}

// recent is what has been said about a cause.
type recent struct {
	level   Level
	last    time.Time
	leftOut uint64
}

// NewLimiter returns a limiter in front of log, which is called on the goroutine that
// uses the limiter.
func NewLimiter(log func(Level, string)) *Limiter {
	return &Limiter{
		log:    func(level Level, line string) { log(level, Line(line)) },
		now:    time.Now,
		causes: make(map[string]*recent),
	}
}

// LogAll has nothing left out from now on.
func (l *Limiter) LogAll() { l.all = true }

// Always writes a line that comes once.
func (l *Limiter) Always(level Level, line string) { l.log(level, line) }

// Limited writes the line that make returns, unless the cause has had one lately.
func (l *Limiter) Limited(level Level, cause string, make func() string) {
	c := l.causes[cause]
	now := l.now()
	switch {
	case c == nil:
		c = &recent{level: level}
		l.causes[cause] = c
	case !l.all && now.Sub(c.last) < limitInterval:
		c.leftOut++
		return
	}
	line := make()
	if c.leftOut > 0 {
		line += fmt.Sprintf(" (%d more like this since the last such line)", c.leftOut)
	}
	c.last = now
	c.leftOut = 0
	l.log(level, line)
}

// Forget has each cause get a line again at once, and returns how many lines have been
// left out that no line has counted.
func (l *Limiter) Forget() (leftOut uint64) {
	for _, c := range l.causes {
		leftOut += c.leftOut
	}
	clear(l.causes)
	return leftOut
}

// Close writes what is left to say. The limiter may be used again.
func (l *Limiter) Close() {
	for _, cause := range slices.Sorted(maps.Keys(l.causes)) {
		if c := l.causes[cause]; c.leftOut > 0 {
			l.log(c.level, fmt.Sprintf("%d more like the last one about: %s", c.leftOut, cause))
		}
	}
	clear(l.causes)
	l.countGuestLines()
}

// GuestOutput writes what a guest wrote, line by line, as far as there may be as many.
// Tabs become blanks.
func (l *Limiter) GuestOutput(level Level, prefix string, text []byte) {
	text = bytes.TrimRight(text, "\n")
	if len(text) == 0 {
		return
	}
	if now := l.now(); now.Sub(l.guestSince) >= limitInterval {
		l.countGuestLines()
		l.guestSince = now
		l.guestLines = 0
	}
	for line := range bytes.SplitSeq(text, []byte{'\n'}) {
		if l.guestLines++; l.guestLines > maxGuestLines && !l.all {
			l.guestLeftOut++
			continue
		}
		line = bytes.ReplaceAll(bytes.TrimSuffix(line, []byte{'\r'}), []byte{'\t'}, []byte("    "))
		l.log(level, prefix+Printable(string(line), MaxTextBytes))
	}
}

// LeaveOut counts lines of the guest that have been left out elsewhere.
func (l *Limiter) LeaveOut(lines uint64) { l.guestLeftOut += int(lines) }

// countGuestLines says how many lines of the guest have been left out.
func (l *Limiter) countGuestLines() {
	if l.guestLeftOut > 0 {
		l.log(Warn, fmt.Sprintf("%d lines that the guest wrote were left out", l.guestLeftOut))
		l.guestLeftOut = 0
	}
}
