package guest

// Record is a record that a test hands to a guest, and what became of it.
type Record struct {
	In, InLen uint32 // in Batch.In
	Sec, Nsec uint32
	Outcome   Outcome
	reply     []byte
}

// Batch holds records for Instance.Run.
type Batch struct {
	In      []byte // the records, back to back
	Records []Record
}

// Add appends a record whose bytes are In[from:].
func (b *Batch) Add(from int, sec, nsec uint32) {
	b.Records = append(b.Records, Record{In: uint32(from), InLen: uint32(len(b.In) - from), Sec: sec, Nsec: nsec})
}

// Input returns the bytes of a record, as they are handed to the guest.
func (b *Batch) Input(r *Record) []byte { return b.In[r.In : r.In+r.InLen] }

// Reply returns what the guest replied, if its Outcome is Reply.
func (b *Batch) Reply(r *Record) []byte { return r.reply }

// Reset forgets the records.
func (b *Batch) Reset() { b.In, b.Records = b.In[:0], b.Records[:0] }

// Close has nothing to free.
func (b *Batch) Close() {}

// Run calls the guest for b.Records[from:to] by a lane that leaves all replies to its
// caller, and returns the index of the first record that was not finished.
func (in *Instance) Run(tag []byte, b *Batch, from, to int) (next int, err error) {
	l := NewLane()
	defer l.Close()
	l.Attach(in)
	l.SetRaw()
	for next = from; next < to && err == nil; next++ {
		r := &b.Records[next]
		l.Begin(0)
		switch l.Call(tag, nil, b.Input(r), false, 0, 0, 0, r.Sec, r.Nsec) {
		case StopRecord:
			r.Outcome = l.Outcome()
			if r.Outcome == Reply {
				r.reply = append([]byte(nil), l.Reply()...)
			}
		default:
			r.Outcome = Drop
		}
		err = l.TakeError()
		l.Finish(false)
	}
	return next, err
}
