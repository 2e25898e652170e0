package forwardserver

import (
	"fmt"
	"hash/maphash"
	"sync"

	"github.com/tinylib/msgp/msgp"
)

// Ledger counts numbered records, {"n":NUMBER,...}, as they come in: each must come
// at least once, and always with the same bytes.
type Ledger struct {
	mu       sync.Mutex
	seed     maphash.Seed
	sums     []uint64 // of each record; 0 if it has not come
	distinct int
	again    int
	changed  int
	err      error
}

// NewLedger makes a ledger for records numbered from 0.
func NewLedger(records int) *Ledger {
	return &Ledger{seed: maphash.MakeSeed(), sums: make([]uint64, records)}
}

// Take notes the records of a message.
func (l *Ledger) Take(events []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(events) > 0 {
		rest, err := msgp.Skip(events)
		if err != nil {
			l.err = err
			return
		}
		event := events[:len(events)-len(rest)]
		events = rest
		n, err := Number(event)
		if err != nil || n < 0 || n >= int64(len(l.sums)) {
			l.err = fmt.Errorf("record %d: %v", n, err)
			return
		}
		sum := maphash.Bytes(l.seed, event) | 1
		switch l.sums[n] {
		case 0:
			l.sums[n] = sum
			l.distinct++
		case sum:
			l.again++
		default:
			l.changed++
		}
	}
}

// Number returns the number of an event whose body is {"n":NUMBER,...}.
func Number(event []byte) (int64, error) {
	_, b, err := msgp.ReadArrayHeaderBytes(event)
	if err != nil {
		return 0, err
	}
	if b, err = msgp.Skip(b); err != nil {
		return 0, err
	}
	pairs, b, err := msgp.ReadMapHeaderBytes(b)
	for ; err == nil && pairs > 0; pairs-- {
		var key []byte
		if key, b, err = msgp.ReadMapKeyZC(b); err != nil {
			break
		}
		if string(key) == "n" {
			n, _, err := msgp.ReadInt64Bytes(b)
			return n, err
		}
		b, err = msgp.Skip(b)
	}
	return 0, fmt.Errorf("a record without a number (%v)", err)
}

// Counts returns how many records have come, how many copies beyond the first, and
// how many of these with other bytes.
func (l *Ledger) Counts() (distinct, again, changed int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.distinct, l.again, l.changed, l.err
}
