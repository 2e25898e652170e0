//go:build !wasm

// Package flbtest tests filters without WebAssembly: a host in memory, with records written as JSON.
//
// A filter goes the way that it goes in Fluent Bit: it is given a batch as docs/abi.md has it, and what
// it replies is carried out.
package flbtest

import (
	"encoding/binary"
	"strings"
	"sync"
	"time"

	flb "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go/internal/sys"
)

// Record is an event, to be filtered or as it has come out.
type Record struct {
	Body       string    // an object of JSON; as it has come out without blanks
	Metadata   string    // likewise; nothing is an empty object
	NoMetadata bool      // the event is of the form of older inputs
	Time       time.Time // the zero Time is the beginning of 1970
	Group      int       // which of the host's groups; 1 is the first one, 0 none
}

// Failure is an event that has failed: which of the records, from 0, and why.
type Failure struct {
	Record int
	flb.Error
}

// Routed is an event that is emitted under another tag.
type Routed struct {
	Tag string
	Record
}

// Output is what has become of records.
type Output struct {
	Records  []Record // that came out: those that failed, and those under other tags, are not among them
	Routed   []Routed // those under other tags
	Failures []Failure
	Groups   []string // what the events of each group have in common, as JSON
}

// Bodies returns the bodies of the records that came out.
func (o *Output) Bodies() (bodies []string) {
	for _, r := range o.Records {
		bodies = append(bodies, r.Body)
	}
	return bodies
}

// BodiesUnder returns the bodies of the records under another tag.
func (o *Output) BodiesUnder(tag string) (bodies []string) {
	for _, r := range o.Routed {
		if r.Tag == tag {
			bodies = append(bodies, r.Body)
		}
	}
	return bodies
}

// Started is a filter that has been configured.
type Started struct {
	Handler flb.Handler
	host    *Host
	tick    func(last bool) error
}

// Filters run one at a time: a module has one thread.
var (
	lock    sync.Mutex
	current *Host
)

// Start configures a filter, as at a start.
func (h *Host) Start(configure func() (flb.Handler, error)) (*Started, error) {
	lock.Lock()
	defer lock.Unlock()
	current = h
	sys.Tick = func(bool) error { panic("flbtest: the filter calls no tick.Call while it is configured") }
	handler, err := sys.Start(configure)
	if err != nil {
		return nil, err
	}
	return &Started{handler.(flb.Handler), h, sys.Tick}, nil
}

// Run runs a filter that is a function on a batch.
func (h *Host) Run(filter func(*flb.Event) error, records ...Record) *Output {
	return (&Started{flb.Func(filter), h, nil}).Run(records...)
}

// Run runs the filter on a batch. It panics if it replies what a host does not take.
func (s *Started) Run(records ...Record) *Output {
	lock.Lock()
	defer lock.Unlock()
	current = s.host
	in := encode(s.host, records)
	reply := sys.Run(s.Handler, string(in.bytes))
	out := &Output{}
	for i, group := range in.groups {
		out.Groups = append(out.Groups, toJSON(carryOut(group[1], 0, of(reply.GroupOps, i), reply.Bytes)))
	}
	text := func(at, n uint32) string { return string(reply.Bytes[at:][:n]) }
	for i, r := range records {
		var keep, failed = true, false
		var emitted []Record
		ops := of(reply.Ops, i)
		for _, op := range of(reply.GroupOps, r.Group-1) {
			if op.Kind == sys.Error {
				ops = []sys.Op{op} // whatever the operations on the event
			}
		}
		body := carryOut(in.events[i][1], 0, ops, reply.Bytes)
		metadata := carryOut(in.events[i][0], 1, ops, reply.Bytes)
		for _, op := range ops {
			switch op.Kind {
			case sys.Error:
				out.Failures = append(out.Failures, Failure{i, flb.Error{Code: op.A, Text: text(op.Address, op.Len)}})
				failed = true
			case sys.Drop:
				keep = false
			case sys.Time:
				r.Time = time.Unix(int64(op.A), int64(op.B)).UTC()
			}
		}
		r.Body, r.Metadata = toJSON(body), toJSON(metadata)
		for _, op := range ops {
			if op.Kind < sys.Emit {
				continue
			}
			e, sent := reply.Emitted[op.Address], r
			if e.Place == sys.InInput {
				sent.Body = toJSON(string(in.bytes[e.Body:][:e.BodyLen]))
			} else {
				sent.Body = toJSON(text(e.Body, e.BodyLen))
			}
			if e.MetadataLen > 0 {
				sent.Metadata = toJSON(text(e.Metadata, e.MetadataLen))
			}
			if e.Sec != -1 {
				sent.Time = time.Unix(e.Sec, int64(e.Nsec)).UTC()
			}
			if e.Group != sys.SameGroup {
				sent.Group = int(e.Group)
			}
			if op.Kind == sys.EmitTo && !isTag(text(e.Tag, e.TagLen)) {
				panic("flbtest: '" + text(e.Tag, e.TagLen) + "' is not a tag")
			} else if op.Kind == sys.EmitTo {
				out.Routed = append(out.Routed, Routed{text(e.Tag, e.TagLen), sent})
			} else {
				emitted = append(emitted, sent)
			}
		}
		if keep && !failed {
			out.Records = append(out.Records, r)
		}
		out.Records = append(out.Records, emitted...)
	}
	return out
}

// Tick has a tick come, which may be the last one of the instance, and returns what it emits. The filter has set
// its function by package tick.
func (s *Started) Tick(last bool) ([]Routed, error) {
	lock.Lock()
	defer lock.Unlock()
	current = s.host
	current.ticked = []Routed{}
	err := s.callTick(last)
	emitted := current.ticked
	if current.ticked = nil; err != nil {
		emitted = nil
	}
	return emitted, err
}

func (s *Started) callTick(last bool) (err error) {
	defer sys.Recover(&err)
	return s.tick(last)
}

func isTag(tag string) bool {
	return tag != "" && len(tag) <= 1024 && !strings.ContainsFunc(tag, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func of(ops []sys.Op, i int) (list []sys.Op) {
	for _, op := range ops {
		if op.Of == uint32(i) {
			list = append(list, op)
		}
	}
	return list
}

// batch is the input of a batch; events and groups have metadata and body.
type batch struct {
	bytes          []byte
	events, groups [][2]string
}

// encode writes a batch as docs/abi.md has it, with structures larger than they are today.
func encode(h *Host, records []Record) (b batch) {
	const header, event, group = 64, 40, 32
	for _, r := range records {
		maps := [2]string{fromJSON(r.Metadata), fromJSON(r.Body)}
		if r.NoMetadata {
			maps[0] = ""
		}
		b.events = append(b.events, maps)
	}
	for _, g := range h.Groups {
		b.groups = append(b.groups, [2]string{"\x80", fromJSON(g)})
	}
	events := header + (len(h.tag())+7)/8*8
	groups := events + event*len(records)
	b.bytes = make([]byte, groups+group*len(h.Groups))
	put := func(at int, numbers ...int) {
		for i, n := range numbers {
			binary.LittleEndian.PutUint32(b.bytes[at+4*i:], uint32(n))
		}
	}
	write := func(at int, maps [2]string) {
		for i, m := range maps {
			put(at+8*i, len(b.bytes), len(m))
			b.bytes = append(b.bytes, m...)
		}
	}
	put(0, header, 0, header, len(h.tag()), events, len(records), event, groups, len(h.Groups), group)
	copy(b.bytes[header:], h.tag())
	for i, r := range records {
		at, t := events+event*i, r.Time
		if t.IsZero() {
			t = time.Unix(0, 0)
		}
		binary.LittleEndian.PutUint64(b.bytes[at:], uint64(t.Unix()))
		put(at+8, t.Nanosecond(), r.Group)
		write(at+16, b.events[i])
	}
	for i := range h.Groups {
		put(groups+group*i, 1)
		write(groups+group*i+8, b.groups[i])
	}
	return b
}

// carryOut does what a host does with the operations on a part.
func carryOut(came string, part uint8, ops []sys.Op, bytes []byte) string {
	var puts string
	var members [][2]string // keys and values, as they are written
	done, keyed, keyBytes := 0, 0, 0
	text := func(op sys.Op) string { return string(bytes[op.Address:][:op.Len]) }
	each := func(kind uint8, function func(op sys.Op)) {
		for _, op := range ops {
			if op.Kind == kind && op.Part == part {
				function(op)
			}
		}
	}
	change := func(key string, value ...string) (found bool) {
		kept := members[:0]
		for _, m := range members {
			if m[0] == key && len(value) > 0 && !found {
				m[1] = value[0]
			} else if m[0] == key {
				continue
			}
			found = found || m[0] == key
			kept = append(kept, m)
		}
		members = kept
		return found
	}
	each(sys.Replace, func(op sys.Op) { came, done = text(op), len(came) })
	if done > 0 || came == "" {
		return came
	}
	each(sys.Put, func(op sys.Op) {
		if int(op.A) < done {
			panic("flbtest: puts overlap, or do not ascend")
		}
		puts += came[done:op.A] + text(op)
		done = int(op.A + op.B)
	})
	for key, value := range value(puts + came[done:]).Members() {
		members = append(members, [2]string{key.MessagePack(), value.MessagePack()})
	}
	each(sys.Remove, func(op sys.Op) { change(text(op)); keyed++; keyBytes += int(op.Len) })
	each(sys.Set, func(op sys.Op) {
		key := value(text(op)).MessagePack()
		if v := text(op)[len(key):]; !change(key, v) {
			members = append(members, [2]string{key, v})
		}
		keyed++
		keyBytes += len(key)
	})
	if keyed > 256 || keyBytes > 65536+5*256 {
		panic("flbtest: more sets and removes of a part than a host takes")
	}
	each(sys.Add, func(op sys.Op) {
		for rest := text(op); op.A > 0; op.A-- {
			key := value(rest).MessagePack()
			v := value(rest[len(key):]).MessagePack()
			members, rest = append(members, [2]string{key, v}), rest[len(key)+len(v):]
		}
	})
	all := binary.BigEndian.AppendUint32([]byte{0xdf}, uint32(len(members)))
	for _, m := range members {
		all = append(append(all, m[0]...), m[1]...)
	}
	return string(all)
}

func value(messagePack string) flb.Value { return sys.Value(messagePack).(flb.Value) }
