package soak

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A ledger has the numbered records that were sent and have not come back, and
// counts what went wrong with the others.
type ledger struct {
	sent    uint64            // so many records, numbered from 0
	next    uint64            // the number that should come back next
	waiting []string          // the texts of next, next+1, ..., sent-1
	missing map[uint64]string // those that should have come before next

	duplicated, reordered, changed int
	first                          string // what went wrong first
}

func (l *ledger) send(text string) {
	l.waiting = append(l.waiting, text)
	l.sent++
}

func (l *ledger) outstanding() int { return len(l.waiting) }

// take notes a record that has come back.
func (l *ledger) take(text string) {
	n, ok := number(text)
	want := ""
	switch {
	case !ok || n >= l.sent:
		l.wrong(&l.changed, "record %d: %.200q has no number that was sent", l.next, text)
		return
	case n >= l.next:
		for ; l.next < n; l.next++ {
			if l.missing == nil {
				l.missing = map[uint64]string{}
			}
			l.missing[l.next] = l.pop()
		}
		want = l.pop()
		l.next++
	case l.missing[n] != "":
		l.wrong(&l.reordered, "record %d came back behind %d", n, l.next-1)
		want = l.missing[n]
		delete(l.missing, n)
	default:
		l.wrong(&l.duplicated, "record %d came back again behind %d", n, l.next-1)
		return
	}
	if text != want {
		l.wrong(&l.changed, "record %d: %q came back as %q", n, want, text)
	}
}

func (l *ledger) pop() string {
	text := l.waiting[0]
	l.waiting[0] = ""
	l.waiting = l.waiting[1:]
	return text
}

func (l *ledger) wrong(count *int, format string, args ...any) {
	*count++
	if l.first == "" {
		l.first = fmt.Sprintf(format, args...)
	}
}

func (l *ledger) lost() int { return len(l.waiting) + len(l.missing) }

// totals are the figures of one or more ledgers.
type totals struct {
	sent                                 uint64
	lost, duplicated, reordered, changed int
}

func (l *ledger) totals() totals {
	return totals{l.sent, l.lost(), l.duplicated, l.reordered, l.changed}
}

func (a totals) plus(b totals) totals {
	return totals{a.sent + b.sent, a.lost + b.lost, a.duplicated + b.duplicated,
		a.reordered + b.reordered, a.changed + b.changed}
}

func (a totals) String() string {
	return fmt.Sprintf("%d records: %d lost, %d duplicated, %d reordered, %d changed",
		a.sent, a.lost, a.duplicated, a.reordered, a.changed)
}

// err says what went wrong, if anything did.
func (l *ledger) err() error {
	sums := l.totals()
	if sums == (totals{sent: l.sent}) {
		return nil
	}
	text := sums.String()
	if l.first != "" {
		text += "; first: " + l.first
	}
	for n := range l.missing {
		text += fmt.Sprintf("; missing: %d", n)
		break
	}
	return errors.New(text)
}

// number reads the number of a record: {"n":123,...
func number(text string) (uint64, bool) {
	rest, ok := strings.CutPrefix(text, `{"n":`)
	if !ok {
		return 0, false
	}
	end := strings.IndexByte(rest, ',')
	if end < 0 {
		return 0, false
	}
	n, err := strconv.ParseUint(rest[:end], 10, 64)
	return n, err == nil
}

// An author writes records: JSON as Fluent Bit writes it.
type author struct {
	rand  *rand.Rand
	told  func(n uint64, r *rand.Rand) byte // what the guest is told to do, or 0
	count map[byte]int                      // by what was told
}

func newAuthor(seed uint64, told func(n uint64, r *rand.Rand) byte) *author {
	return &author{rand: rand.New(rand.NewPCG(soakSeed, seed)), told: told, count: map[byte]int{}}
}

const filler = `GET /api/v1/orders/12345?expand=items HTTP/1.1\" 200 5316 \"-\" \"Mozilla/5.0 (X11; Linux x86_64)\"\tok\n`

// write returns the text of record n.
func (a *author) write(n uint64) string {
	text := filler
	if cut := a.rand.IntN(2 * len(filler)); cut < len(filler) {
		text = strings.TrimSuffix(filler[:cut], `\`)
	}
	if a.rand.IntN(500) == 0 {
		text = strings.Repeat(filler, 1+a.rand.IntN(40))
	}
	do := ""
	if a.told != nil {
		if letter := a.told(n, a.rand); letter != 0 {
			a.count[letter]++
			do = fmt.Sprintf(`,"do":"%c"`, letter)
		}
	}
	return fmt.Sprintf(`{"n":%d,"text":"%s","code":%d%s}`, n, text, a.rand.IntN(600)-100, do)
}

// A stream feeds records into one end of a pipeline and reads the file at its
// other end.
type stream struct {
	ledger
	name   string
	author *author
	in     io.Writer
	path   string // of what comes out, one JSON text per line
	window int    // so many records may be on their way

	// unwrap returns the record that was sent of one that has come back; nil: it is that.
	unwrap func(text string) string

	at   int64
	part []byte // of a line
}

// truncateAt is the size at which the file is emptied, once everything has come.
const truncateAt = 64 << 20

// step reads what has come out, and sends what the window has room for. It
// returns whether there was anything to read or send.
func (s *stream) step(send bool) (bool, error) {
	came, err := s.read()
	if err != nil {
		return false, err
	}
	if s.at > truncateAt {
		if s.outstanding() == 0 && len(s.part) == 0 {
			if err := os.Truncate(s.path, 0); err != nil {
				return false, err
			}
			s.at = 0
		}
		send = false
	}
	room := s.window - s.outstanding()
	if !send || room <= 0 {
		return came > 0, nil
	}
	var b bytes.Buffer
	for range 1 + s.author.rand.IntN(room) {
		text := s.author.write(s.sent)
		s.send(text)
		b.WriteString(text)
		b.WriteByte('\n')
	}
	if _, err := s.in.Write(b.Bytes()); err != nil {
		return false, fmt.Errorf("stream %s: %w", s.name, err)
	}
	return true, nil
}

func (s *stream) read() (int, error) {
	f, err := os.Open(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	b, err := readFrom(f, s.at)
	if err != nil {
		return 0, err
	}
	s.at += int64(len(b))
	b = append(s.part, b...)
	lines := 0
	for {
		line, rest, whole := bytes.Cut(b, []byte("\n"))
		if !whole {
			break
		}
		text := string(line)
		if s.unwrap != nil {
			text = s.unwrap(text)
		}
		s.take(text)
		b = rest
		lines++
	}
	s.part = bytes.Clone(b)
	return lines, nil
}

// run feeds streams until stop says so, then waits for what is on its way. Each
// tick calls also, if there is one.
func (p *process) run(streams []*stream, stop func() bool, also func()) {
	p.t.Helper()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	progress := time.Now()
	for {
		stopped, waiting := stop(), 0
		for _, s := range streams {
			busy, err := s.step(!stopped)
			if err != nil {
				p.t.Fatalf("%v (%v; %v)", err, s.err(), p.cmd.ProcessState)
			}
			if busy {
				progress = time.Now()
			}
			waiting += s.outstanding()
		}
		if stopped && waiting == 0 {
			return
		}
		if p.ended() {
			p.t.Fatalf("Fluent Bit ended: %v", p.cmd.ProcessState)
		}
		if time.Since(progress) > deadline {
			for _, s := range streams {
				p.t.Errorf("stream %s: %v", s.name, s.err())
			}
			p.t.Fatalf("nothing has come out for %v", deadline)
		}
		if also != nil && !stopped {
			also()
		}
		<-tick.C
	}
}

// The ledger is the oracle of this package: it must see what it is there to see.
func TestLedger(t *testing.T) {
	text := func(n int) string { return fmt.Sprintf(`{"n":%d,"text":"x"}`, n) }
	for _, test := range []struct {
		name string
		come []string
		want string
	}{
		{"all well", []string{text(0), text(1), text(2), text(3)}, "4 records: 0 lost, 0 duplicated, 0 reordered, 0 changed"},
		{"last lost", []string{text(0), text(1), text(2)}, "4 records: 1 lost, 0 duplicated, 0 reordered, 0 changed"},
		{"one lost", []string{text(0), text(2), text(3)}, "4 records: 1 lost, 0 duplicated, 0 reordered, 0 changed"},
		{"twice", []string{text(0), text(1), text(1), text(2), text(3)}, "4 records: 0 lost, 1 duplicated, 0 reordered, 0 changed"},
		{"twice later", []string{text(0), text(1), text(2), text(3), text(0)}, "4 records: 0 lost, 1 duplicated, 0 reordered, 0 changed"},
		{"swapped", []string{text(0), text(2), text(1), text(3)}, "4 records: 0 lost, 0 duplicated, 1 reordered, 0 changed"},
		{"other text", []string{text(0), `{"n":1,"text":"y"}`, text(2), text(3)}, "4 records: 0 lost, 0 duplicated, 0 reordered, 1 changed"},
		{"made up", []string{text(0), text(1), text(9), text(2), `{}`, text(3)}, "4 records: 0 lost, 0 duplicated, 0 reordered, 2 changed"},
	} {
		var l ledger
		for n := range 4 {
			l.send(text(n))
		}
		for _, text := range test.come {
			l.take(text)
		}
		if got := l.totals().String(); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
		if err := l.err(); (err == nil) != (test.name == "all well") {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}
