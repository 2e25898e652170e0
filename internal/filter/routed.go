package filter

// Events that a filter emits under other tags than the chunk's.

// Routed are events under another tag, in their order, in the form of a chunk: those of a group between its
// markers.
type Routed struct {
	Tag    string
	Events []byte
}

// TakeRouted returns what the last Run or Tick has emitted under other tags, by tags in the order in which each
// came first. It has to follow each of them, unless the caller takes it of the Lane. The caller owns what it
// returns.
func (f *Filter) TakeRouted() []Routed { return nil }

// Ticks says whether Tick is wanted every tick_interval: the module that runs exports flb_tick. It may be called
// from any goroutine; a reload may change it.
func (f *Filter) Ticks() bool { return false }

// Tick calls flb_tick of each instance, unless its breaker is open. It must not be called inside of Run, nor
// while another goroutine runs the filter. If it is final, instances hand over all that they hold and are given
// up: a record that comes all the same gets a new instance, which another final Tick ends.
func (f *Filter) Tick(final bool) {}
