package filter

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
)

// cause is why a record failed.
type cause int

// The causes. Those made of outcomes follow guest.Outcome from Trapped on.
const (
	none cause = iota
	recordNotMap
	recordNotJSON
	recordTooLarge
	replyNotMap
	replyInvalid
	replyTooDeep
	replySeveral
	chunkTooLarge
	givenInvalid
	notRun
	breakerOpen
	noModule
	firstOutcome
	numCauses = firstOutcome + cause(guest.LastOutcome-guest.Trapped) + 1
)

var causeTexts = [firstOutcome]string{
	recordNotMap:   "its body is not a map",
	recordNotJSON:  "it nests too deep for JSON",
	recordTooLarge: "it is too large to be handed to a guest",
	replyNotMap:    "the guest's reply is not a map",
	replyInvalid:   "the guest's reply can't be read",
	replyTooDeep:   "the guest's reply nests deeper than Fluent Bit can read",
	replySeveral:   "the guest's reply is a list of records, and split is off",
	chunkTooLarge:  "the guest's replies make too much of the chunk",
	givenInvalid:   "what the guest has set or emitted can't be used",
	notRun:         "there is no instance of the module",
	breakerOpen:    "the module is out of the path after many failures",
	noModule:       "there is no module: it could not be started",
}

func causeOf(o guest.Outcome) cause { return firstOutcome + cause(o-guest.Trapped) }

func (c cause) String() string {
	if c < firstOutcome {
		return causeTexts[c]
	}
	return (guest.Trapped + guest.Outcome(c-firstOutcome)).String()
}

// loggedElsewhere says of a cause that what led to it has a line in the log.
func (c cause) loggedElsewhere() bool {
	return c == notRun || c == breakerOpen || c == noModule || c == causeOf(guest.Trapped) || c == causeOf(guest.TimedOut)
}

// Stats counts what became of records since the filter was made.
type Stats struct {
	Chunks   uint64            // chunks seen
	Corrupt  uint64            // of these, passed through untouched because they can't be read
	Records  uint64            // records read from the others (group markers don't count)
	Returned uint64            // records that the guest returned
	Dropped  uint64            // records that the guest dropped
	Routed   uint64            // records that it dropped, and emitted something of under other tags
	Added    uint64            // events that came out beyond those of records (split, emit)
	Failed   uint64            // records that something went wrong with
	Causes   [numCauses]uint64 // of Failed
	GivenUp  uint64            // guest instances that had to go; a record that comes after gets another
	Recycled uint64            // of these, because of recycle_memory
	TimedOut uint64            // of these, after a timeout
	NoMemory uint64            // of these, for want of memory for a record or batch

	Payloads    [options.NumSignals][NumVerdicts]uint64 // of metrics and traces, by what became of them
	Elsewhere   uint64                                  // events that were emitted under other tags, failed records of on_error route among them
	Emission    guest.Emission                          // what has become of them, if somebody delivers them
	Ticks       uint64                                  // calls of flb_tick that went well
	FailedTicks uint64                                  // and that did not

	Errors      [maxErrorCodes]errorCount // records that the guest reported an error of
	OtherErrors uint64                    // of codes that have found no room there
}

// errorCount is how many records had an error of that code; N is 0 if it is not used.
type errorCount struct {
	Code uint32
	N    uint64
}

// maxErrorCodes is how many codes of errors are counted each by itself.
const maxErrorCodes = 32

func (s *Stats) addErrors(code uint32, n uint64) {
	for i := range s.Errors {
		if e := &s.Errors[i]; e.N == 0 || e.Code == code {
			*e = errorCount{code, e.N + n}
			return
		}
	}
	s.OtherErrors += n
}

// Add adds the counts of another filter, or of other chunks.
func (s *Stats) Add(o Stats) {
	s.Chunks += o.Chunks
	s.Corrupt += o.Corrupt
	s.Records += o.Records
	s.Returned += o.Returned
	s.Dropped += o.Dropped
	s.Routed += o.Routed
	s.Added += o.Added
	s.Failed += o.Failed
	for c, n := range o.Causes {
		s.Causes[c] += n
	}
	for signal := range o.Payloads {
		for v, n := range o.Payloads[signal] {
			s.Payloads[signal][v] += n
		}
	}
	s.GivenUp += o.GivenUp
	s.Recycled += o.Recycled
	s.TimedOut += o.TimedOut
	s.NoMemory += o.NoMemory
	s.Elsewhere += o.Elsewhere
	s.addEmission(o.Emission)
	s.Ticks += o.Ticks
	s.FailedTicks += o.FailedTicks
	for _, e := range o.Errors {
		if e.N > 0 {
			s.addErrors(e.Code, e.N)
		}
	}
	s.OtherErrors += o.OtherErrors
}

func (s *Stats) addEmission(e guest.Emission) {
	s.Emission.Delivered += e.Delivered
	s.Emission.Kept += e.Kept
	s.Emission.Dropped += e.Dropped
	s.Emission.Looped += e.Looped
	s.Emission.HeldBytes += e.HeldBytes
}

func (s *Stats) addLane(c guest.Counts) {
	s.Chunks += c.Chunks
	s.Records += c.Records
	s.Returned += c.Returned
	s.Dropped += c.Dropped
	s.Routed += c.Routed
	s.Added += c.Added
	s.Elsewhere += c.Elsewhere
	s.addEmission(c.Emission)
}

// ErrorCodes yields the codes of errors, which ascend, and how many records had each.
func (s *Stats) ErrorCodes() iter.Seq2[uint32, uint64] {
	return func(yield func(uint32, uint64) bool) {
		for _, e := range slices.SortedFunc(slices.Values(s.Errors[:]), func(a, b errorCount) int { return cmp.Compare(a.Code, b.Code) }) {
			if e.N > 0 && !yield(e.Code, e.N) {
				return
			}
		}
	}
}

// Reasons yields why records failed, and how many for each reason.
func (s *Stats) Reasons() iter.Seq2[string, uint64] {
	return func(yield func(string, uint64) bool) {
		for c, n := range s.Causes {
			if n > 0 && !yield(cause(c).String(), n) {
				return
			}
		}
	}
}

// errorsText lists the codes of errors, as "3 of 17, 1 of 404".
func (s *Stats) errorsText() string {
	var list []string
	for code, n := range s.ErrorCodes() {
		list = append(list, fmt.Sprintf("%d of %d", n, code))
	}
	if s.OtherErrors > 0 {
		list = append(list, fmt.Sprintf("%d of others", s.OtherErrors))
	}
	return strings.Join(list, ", ")
}

// String is the line that the log gets when the filter ends.
func (s Stats) String() string {
	var b strings.Builder
	if text := s.payloadsText(); text != "" {
		fmt.Fprintf(&b, "%s; %d instances given up, %d of them for recycle_memory", text, s.GivenUp, s.Recycled)
		return b.String()
	}
	routed := ""
	if s.Routed > 0 {
		routed = fmt.Sprintf("%d routed, ", s.Routed)
	}
	fmt.Fprintf(&b, "%d records: %d returned, %d dropped by the guest, %s%d failed", s.Records, s.Returned, s.Dropped, routed, s.Failed)
	separator := " ("
	for reason, n := range s.Reasons() {
		fmt.Fprintf(&b, "%s%d: %s", separator, n, reason)
		separator = "; "
	}
	if s.Failed > 0 {
		b.WriteString(")")
	}
	if text := s.errorsText(); text != "" {
		b.WriteString("; errors by code: " + text)
	}
	if s.Added > 0 {
		fmt.Fprintf(&b, "; %d added", s.Added)
	}
	if s.Elsewhere > 0 {
		fmt.Fprintf(&b, "; %d emitted under other tags", s.Elsewhere)
	}
	if e := s.Emission; e != (guest.Emission{}) {
		fmt.Fprintf(&b, " (%d delivered, %d kept in their chunks, %d dropped, %d looped)", e.Delivered, e.Kept, e.Dropped, e.Looped)
	}
	if n := s.Ticks + s.FailedTicks; n > 0 {
		fmt.Fprintf(&b, "; %d ticks, %d of them failed", n, s.FailedTicks)
	}
	fmt.Fprintf(&b, "; %d instances given up, %d of them for recycle_memory; %d of %d chunks unreadable and untouched",
		s.GivenUp, s.Recycled, s.Corrupt, s.Chunks)
	return b.String()
}

func (s *Stats) failedPayloads() (n uint64) {
	for _, counts := range s.Payloads {
		n += counts[Failed]
	}
	return n
}

// payloadsText says what became of payloads; "" if there were none.
func (s *Stats) payloadsText() string {
	var list []string
	for signal, counts := range s.Payloads {
		if all := counts[Kept] + counts[Replaced] + counts[Dropped] + counts[Failed]; all > 0 {
			list = append(list, fmt.Sprintf("%d payloads of %v: %d kept, %d replaced, %d dropped by the guest, %d failed",
				all, options.Signal(signal), counts[Kept], counts[Replaced], counts[Dropped], counts[Failed]))
		}
	}
	return strings.Join(list, "; ")
}
