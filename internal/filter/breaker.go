package filter

import (
	"fmt"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
)

const (
	// A record that timed out counts as so many failures: it has cost the
	// pipeline a whole timeout.
	timeoutWeight = 25

	// The back-off is doubled so many times at most.
	maxDoublings = 6
)

type breakerState int

const (
	closed breakerState = iota
	open                // records pass by the guest
	trial               // the next record decides
	numBreakerStates
)

func (s breakerState) String() string { return [numBreakerStates]string{"closed", "open", "trial"}[s] }

// breaker takes a guest that keeps failing out of the path for a while, so that
// replacing instances and waiting for timeouts is not all that is done. It opens
// after a number of failures in a row, lets one record through when the back-off
// is over, and closes if the guest's answer to that is usable.
type breaker struct {
	threshold int // 0: never opens
	backoff   time.Duration
	log       func(hostlog.Level, string)
	now       func() time.Time

	stops     int // traps and timeouts in a row
	unusable  int // replies in a row that are not records
	doublings int
	until     time.Time // open until then; zero: closed
	openings  uint64    // times that it has opened
}

func newBreaker(threshold int, backoff time.Duration, log func(hostlog.Level, string)) *breaker {
	return &breaker{threshold: threshold, backoff: backoff, log: log, now: time.Now}
}

func (b *breaker) state() breakerState { return stateAt(b.until, b.now) }

// stateAt is the state of a breaker that is open until then.
func stateAt(until time.Time, now func() time.Time) breakerState {
	switch {
	case until.IsZero():
		return closed
	case now().Before(until):
		return open
	default:
		return trial
	}
}

// stopped counts a record that the guest gave no answer to, or more of them.
func (b *breaker) stopped(weight int) {
	b.stops += weight
	b.judge(b.stops)
}

// bad counts an answer that is not usable.
func (b *breaker) bad() {
	b.unusable++
	b.judge(b.unusable)
}

func (b *breaker) judge(failures int) {
	was := b.state()
	if b.threshold == 0 || was == open || was == closed && failures < b.threshold {
		return
	}
	wait := b.backoff << b.doublings
	b.doublings = min(b.doublings+1, maxDoublings)
	b.until = b.now().Add(wait)
	if was == closed {
		b.openings++
		b.log(hostlog.Error, fmt.Sprintf("the module keeps failing: it is left out for %v at first, and records follow on_error", wait))
	}
}

// answered says that the guest has answered a record, whatever the answer is.
func (b *breaker) answered() { b.stops = 0 }

// close ends the time without the guest: its answer to a trial was usable.
func (b *breaker) close() {
	b.until = time.Time{}
	b.stops = 0
	b.success()
	b.log(hostlog.Info, "the module answers again: it is back in the path")
}

// reset closes it for a guest of which nothing is known.
func (b *breaker) reset() { b.until, b.stops, b.unusable, b.doublings = time.Time{}, 0, 0, 0 }

// trip opens it, for there is no guest.
func (b *breaker) trip() { b.until = b.now().Add(b.backoff) }

// success says that an answer was usable.
func (b *breaker) success() {
	b.unusable = 0
	b.doublings = 0
}
