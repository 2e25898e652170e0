package output

import (
	"sync"
	"time"
)

// regain is how much of the time in which no flush waits may be waited again: one
// part in so many.
const regain = 100

// patience bounds how long flushes wait for a far side that delivers nothing. All
// that they have waited since the last delivery, those at the same time counted
// once, is no longer than the limit of one of them, and a hundredth of the time
// since: enough to see that a far side is back. So the host's queue of flushes,
// each of which blocks a thread, does not wait for each chunk in turn.
type patience struct {
	spent   time.Duration // waited in vain until since
	since   time.Time     // when waiting began, if waiters > 0, or ended
	waiters int
}

// enter begins a wait and returns how long it may take. Each enter needs a leave.
func (p *patience) enter(limit time.Duration, now time.Time) time.Duration {
	spent := p.sum(now)
	if p.waiters == 0 {
		p.spent, p.since = spent, now
	}
	p.waiters++
	return max(limit-spent, 0)
}

// leave ends a wait that could have taken as long as limit.
func (p *patience) leave(limit time.Duration, now time.Time) {
	if p.waiters--; p.waiters == 0 {
		// More than this would only put off what is regained.
		p.spent = max(p.spent, min(p.spent+now.Sub(p.since), limit))
		p.since = now
	}
}

// sum is what has been waited in vain, less what has been regained.
func (p *patience) sum(now time.Time) time.Duration {
	passed := now.Sub(p.since)
	if p.waiters > 0 {
		return p.spent + passed
	}
	return max(p.spent-passed/regain, 0)
}

// delivered notes that the far side has taken something.
func (p *patience) delivered(now time.Time) { p.spent, p.since = 0, now }

// Of the engine's time, outputs wait one part in engineShare, and after a rest as long
// as engineReserve at a stretch.
const (
	engineShare   = 2
	engineReserve = time.Second
)

// engineTime bounds how much of the engine's time all outputs together wait on its
// thread, though it may not be in vain. Who keeps the engine longer than it has chunks
// to flush does worse than delay it: it sends flushes to itself through a pipe, and
// stops for good when that is full (flb_output_task_flush in src/flb_output.c, 1.9 to
// 5.1).
type engineTime struct {
	mu    sync.Mutex
	saved time.Duration // what may be waited, as of since
	since time.Time
}

// left is how much of limit may be waited now.
func (e *engineTime) left(limit time.Duration, now time.Time) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	full := max(engineReserve, limit)
	if e.since.IsZero() {
		e.saved = full
	} else {
		e.saved = min(e.saved+now.Sub(e.since)/engineShare, full)
	}
	e.since = now
	return min(max(e.saved, 0), limit)
}

// spend notes a wait.
func (e *engineTime) spend(d time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.saved -= d
}
