package filter

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/tinylib/msgp/msgp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/fbconf"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// What the guests of FuzzBatch do with a batch that has an event whose body ends with badByte; those
// behind badHasNoMemory do the same with all.
const (
	badIgnored = iota
	badTraps
	badHasNoMemory // 0, after memory was refused
	noBuffer       // flb_buffer returns 0
	oddBuffer      // it returns what is no multiple of 8
	polite         // it leaves the first operation on groups out if the first group may not be changed
	numBatchGuests

	badByte = '!'
)

// batchGuest is batch_script, but for that.
func batchGuest(kind int, stateful bool) string {
	// What earlier tags have left in memory is no part of a reply.
	text := strings.Replace(guests.WAT("batch_script"), "    (memory.copy", "    (memory.fill (i32.const 65536) (i32.const 0) (i32.const 65536))\n    (memory.copy", 1)
	switch kind {
	case noBuffer, oddBuffer:
		return strings.Replace(text, "(i32.const 1048576))\n", []string{"(i32.const 0))\n", "(i32.const 1048580))\n"}[kind-noBuffer], 1)
	case polite:
		text = strings.Replace(text, "    (i32.const 65536)))", `    (if (i32.load offset=32 (local.get $in))
      (then (if (i32.eqz (i32.load (i32.add (local.get $in) (i32.load offset=28 (local.get $in)))))
        (then (if (i32.load (i32.const 65548))
          (then
            (i32.store (i32.const 65544) (i32.add (i32.load (i32.const 65544)) (i32.const 24)))
            (i32.store (i32.const 65548) (i32.sub (i32.load (i32.const 65548)) (i32.const 1)))))))))
    (i32.const 65536)))`, 1)
	case badTraps, badHasNoMemory:
		bad := []string{"unreachable", "(drop (memory.grow (i32.const 65536))) (return (i32.const 0))"}[kind-badTraps]
		text = strings.Replace(text, `(func (export "filter") (param $in i32) (param $len i32) (result i32)`,
			`(func (export "filter") (param $in i32) (param $len i32) (result i32) (local $p i32) (local $n i32)
    (local.set $p (i32.add (local.get $in) (i32.load offset=16 (local.get $in))))
    (local.set $n (i32.load offset=20 (local.get $in)))
    (block $none (br_if $none (i32.eqz (local.get $n))) (loop $next
      (if (i32.eq (i32.const `+fmt.Sprint(badByte)+`) (i32.load8_u (i32.sub (i32.add (local.get $in)
          (i32.add (i32.load offset=24 (local.get $p)) (i32.load offset=28 (local.get $p)))) (i32.const 1))))
        (then `+bad+`))
      (local.set $p (i32.add (local.get $p) (i32.load offset=24 (local.get $in))))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $next (local.get $n))))`, 1)
	}
	if stateful {
		text = strings.Replace(text, `(func (export "flb_batch_1"))`, `(func (export "flb_batch_1")) (func (export "flb_stateful"))`, 1)
	}
	return text
}

// batchMode is what an input of FuzzBatch says besides chunk and reply.
type batchMode struct {
	onError         options.OnError
	guest           int
	retry, stateful bool
	records, bytes  int
}

func batchModeOf(bits uint16) batchMode {
	m := batchMode{
		onError: options.OnError(bits % 4), guest: int(bits / 4 % numBatchGuests),
		retry: bits>>8&1 > 0, stateful: bits>>9&1 > 0,
		records: 1 + int(bits>>10)%5, bytes: 1 << 20,
	}
	if bits>>13&1 > 0 {
		m.bytes = 40
	}
	if bits>>14&1 > 0 {
		m.records = 1000
	}
	return m
}

// bitsOf is the inverse.
func (m batchMode) bits() (bits uint16) {
	for bits = 0; batchModeOf(bits) != m; bits++ {
		if bits == math.MaxUint16 {
			panic(m)
		}
	}
	return bits
}

// batchModel makes of a chunk what docs/abi.md says. Its bytes are in out: those that are given, or a
// map of these members in any of its forms.
type batchModel struct {
	t       *testing.T
	mode    batchMode
	tag     []byte
	reply   []byte // the guest's memory from scriptReply on: the tag, but for what a call writes to it
	out     []segment
	routed  []routedModel
	errors  map[int]bool // groups that the guest says have failed, from the first that begins in the batch; -1: the one before
	open    *group       // what is emitted is in that one, as long as all groups come out
	want    Stats
	causes  map[cause]uint64
	size    int  // bytes that operations made
	unknown bool // something depends on what the model does not know
	called  bool // an operation took effect
}

type segment struct {
	bytes   []byte
	members []oracle.Member
	isMap   bool
	marked  *chunk.Event
	start   *group // the marker of that one, as it is in the end
	end     *group // bytes are the marker that ends it
	copied  bool   // of a start: it is none of the chunk
}

// routedModel is an event under another tag.
type routedModel struct {
	tag           string
	marker, event []segment
}

// emitTags are those of all filters here.
var emitTags = []string{"other.*", "x", "*end"}

// granted says whether emitTags grant the tag.
func granted(tag []byte) bool {
	return len(tag) > 0 && len(tag) <= 1024 && !bytes.ContainsFunc(tag, func(r rune) bool { return r < ' ' || r == 0x7f }) &&
		slices.ContainsFunc(emitTags, func(p string) bool { return fbconf.MatchTag(p, string(tag)) })
}

// failedTag is that of on_error route.
const failedTag = "failed"

// drops says whether records that fail don't come out of the chunk.
func (m *batchModel) drops() bool {
	return m.mode.onError == options.Drop || m.mode.onError == options.Route
}

// route emits an event under another tag, in a group.
func (m *batchModel) route(tag string, in *group, event []segment) {
	r := routedModel{tag: tag, event: event}
	if in != nil {
		r.marker = slices.Clone(in.marker)
	}
	m.routed = append(m.routed, r)
	m.want.Elsewhere++
}

// group is that of a marker.
type group struct {
	came                              chunk.Event
	marker                            []segment
	answered, refused, failed, passed bool // refused: a batch has failed that had it, or it by itself; else of its records
	errored                           bool // by the guest's word, in the batch at hand
}

// lost says whether the markers of the group are not to come out, as far as is known.
func (g *group) lost() bool { return (g.failed || g.refused && !g.answered) && !g.passed }

// memory returns bytes of the guest's memory. ok is false if they are not inside.
func (m *batchModel) memory(at, n uint32) (b []byte, ok bool) {
	const before, pages = scriptInput, 2 << 20
	end := uint64(at) + uint64(n)
	switch {
	case end > before && end <= pages || at >= before && at <= pages:
		m.unknown = true // in the input, or memory that has grown or not
		return nil, false
	case end > pages:
		return nil, false
	}
	b = make([]byte, n)
	for i := range b {
		if p := int(at) + i - scriptReply; p >= 0 && p < len(m.reply) {
			b[i] = m.reply[p]
		}
	}
	return b, true
}

func little(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }

// modelOp is an operation as it stands in memory.
type modelOp struct {
	of         uint32
	kind, part byte
	a, b       uint32
	bytes      []byte
	inside     bool
}

// readOps reads a list of them, on n events or groups. ok is false if it is a breach.
func (m *batchModel) readOps(at, n, of uint32) (list []modelOp, ok bool) {
	if uint64(n)*24 > math.MaxUint32 {
		return nil, false
	}
	text, ok := m.memory(at, n*24)
	if !ok {
		return nil, false
	}
	last := uint32(0)
	for ; len(text) > 0; text = text[24:] {
		o := modelOp{of: little(text), kind: text[4], part: text[5], a: little(text[8:]), b: little(text[12:])}
		if o.of < last || o.of >= of {
			return nil, false
		}
		last = o.of
		list = append(list, o)
		o.bytes, o.inside = nil, false
	}
	return list, true
}

// fill reads the bytes of operations.
func (m *batchModel) fill(at uint32, list []modelOp) {
	for i := range list {
		text, _ := m.memory(at+uint32(i)*24, 24)
		list[i].bytes, list[i].inside = m.memory(little(text[16:]), little(text[20:]))
	}
}

// parse reads the reply.
func (m *batchModel) parse(records, groups int, leaves bool) (ops, groupOps []modelOp, ok bool) {
	if len(m.reply) < 16 {
		return nil, nil, true
	}
	at, n := little(m.reply), little(m.reply[4:])
	groupsAt, groupsN := little(m.reply[8:]), little(m.reply[12:])
	if leaves && groupsN > 0 {
		groupsAt, groupsN = groupsAt+24, groupsN-1
		m.reply = bytes.Clone(m.reply)
		binary.LittleEndian.PutUint32(m.reply[8:], groupsAt)
		binary.LittleEndian.PutUint32(m.reply[12:], groupsN)
	}
	if ops, ok = m.readOps(at, n, uint32(records)); !ok {
		return nil, nil, false
	}
	if groupOps, ok = m.readOps(groupsAt, groupsN, uint32(groups)); !ok {
		return nil, nil, false
	}
	m.fill(at, ops)
	m.fill(groupsAt, groupOps)
	return ops, groupOps, true
}

func opsOn(ops []modelOp, of int) (list []modelOp) {
	for _, o := range ops {
		if int(o.of) == of {
			list = append(list, o)
		}
	}
	return list
}

// edited is an event or marker as operations make it. ok is false if one may not be.
func (m *batchModel) edited(ev chunk.Event, ops []modelOp) (list []segment, ok bool) {
	time, metadata := ev.Parts()
	before := ev.Raw[:len(ev.Raw)-len(ev.Body)-len(metadata)-len(time)]
	edits := [2][]oracle.Edit{}
	for _, o := range ops {
		switch o.kind {
		case opTime:
			time = binary.BigEndian.AppendUint32([]byte{0xd7, 0}, o.a)
			time = binary.BigEndian.AppendUint32(time, o.b)
		case opReplace, opSet, opAdd, opRemove, opPut:
			edits[o.part] = append(edits[o.part], oracle.Edit{Kind: uint32(o.kind), A: o.a, B: o.b, Bytes: o.bytes})
			m.size += len(o.bytes)
		}
	}
	list = []segment{{bytes: join(before, time)}}
	for part, v := range [][]byte{1: metadata, 0: ev.Body} {
		if len(edits[part]) > 0 && len(v) == 0 {
			return nil, false // it is without metadata
		}
		_ = part
	}
	for _, part := range []int{1, 0} {
		v, depth := ev.Body, 31
		if part == 1 {
			v, depth = metadata, 30
		}
		if len(edits[part]) == 0 {
			list = append(list, segment{bytes: v})
			continue
		}
		members, ok := oracle.EditMap(v, edits[part], depth)
		if !ok {
			return nil, false
		}
		list = append(list, segment{members: members, isMap: true})
	}
	return list, true
}

// allowed says whether operations go together.
func allowed(ops []modelOp, group bool) bool {
	edits := true
	count := map[int]int{} // by operation; -1: those on the body
	for _, o := range ops {
		edit := o.kind >= opReplace && o.kind <= opPut
		if !o.inside || o.kind == 0 || o.kind > opEmitTo || edit && o.part > 1 ||
			o.kind == opTime && (o.a >= 1<<32-2 || o.b >= 1e9) {
			return false
		}
		count[int(o.kind)]++
		if edit && o.part == 0 {
			count[-1]++
		}
		edits = edits && edit
	}
	if group {
		return edits || len(ops) == 1 && count[opError] == 1
	}
	return (count[opDrop] == 0 || count[-1] == 0) && (count[opError] == 0 || len(ops) == 1)
}

// emitted is what an operation emits, and in which group of the table (0: none). left is the event as
// operations leave it, as of edited.
func (m *batchModel) emitted(ev chunk.Event, left []segment, own int, o modelOp, groups int) (list []segment, in int, tag string, ok bool) {
	none := func() ([]segment, int, string, bool) { return nil, 0, "", false }
	if len(o.bytes) < describing(o.kind) {
		return none()
	}
	if o.kind == opEmitTo {
		given, inside := m.memory(little(o.bytes[32:]), little(o.bytes[36:]))
		if !inside || !granted(given) {
			return none()
		}
		tag = string(given)
	}
	sec, nsec := int64(binary.LittleEndian.Uint64(o.bytes)), little(o.bytes[8:])
	begin := []byte{0x92, 0x92}
	if ev.Legacy {
		begin = begin[:1]
	}
	time := segment{bytes: join(begin, timeOf(ev, left))}
	metadata := left[1]
	if sec != -1 {
		if sec < 0 || sec >= 1<<32-2 || nsec >= 1e9 {
			return none()
		}
		time.bytes = binary.BigEndian.AppendUint32(join(begin, []byte{0xd7, 0}), uint32(sec))
		time.bytes = binary.BigEndian.AppendUint32(time.bytes, nsec)
	}
	in = own
	if g := little(o.bytes[12:]); g != math.MaxUint32 {
		if uint64(g) > uint64(groups) {
			return none()
		}
		in = int(g)
	}
	oneMap := func(b []byte, depth int) bool {
		_, ok := oracle.WholeValues(b, 1, depth)
		return ok && oracle.IsMap(b)
	}
	if n := little(o.bytes[20:]); n > 0 {
		given, inside := m.memory(little(o.bytes[16:]), n)
		if !inside || !oneMap(given, 30) || ev.Legacy && !bytes.Equal(given, []byte{0x80}) {
			return none()
		}
		metadata = segment{bytes: given}
	}
	body, inside := m.memory(little(o.bytes[24:]), little(o.bytes[28:]))
	if !inside || !oneMap(body, 31) {
		return none()
	}
	m.size += len(metadata.bytes) + len(body)
	if ev.Legacy {
		metadata = segment{}
	}
	return []segment{time, metadata, {bytes: body}}, in, tag, true
}

// describing is how many bytes describe an event that an operation emits.
func describing(kind byte) int {
	if kind == opEmitTo {
		return 40
	}
	return 32
}

// timeOf is the time of an event as operations leave it: its first segment has what stands before it, too.
func timeOf(ev chunk.Event, left []segment) []byte {
	time, metadata := ev.Parts()
	return left[0].bytes[len(ev.Raw)-len(ev.Body)-len(metadata)-len(time):]
}

var groupEndMarker = []byte("\x92\x92\xd7\x00\xff\xff\xff\xfe\x00\x00\x00\x00\x80\x80")

// turnTo has what is emitted next stand in a group.
func (m *batchModel) turnTo(g *group) {
	if m.open == g {
		return
	}
	if m.open != nil {
		m.out = append(m.out, segment{bytes: groupEndMarker})
	}
	if g != nil {
		m.out = append(m.out, segment{start: g, copied: true})
	}
	m.open = g
}

func (m *batchModel) fail(ev chunk.Event, in *group, c cause) {
	m.want.Failed++
	m.causes[c]++
	switch m.mode.onError {
	case options.Route, options.Drop:
		if m.mode.onError == options.Route {
			m.route(failedTag, in, []segment{{marked: &ev}})
		}
		if in != nil {
			in.failed = true
		}
	case options.Mark:
		m.out = append(m.out, segment{marked: &ev})
	default:
		m.out = append(m.out, segment{bytes: ev.Raw})
	}
}

// usable says of a record whether it goes to the guest.
func usable(ev chunk.Event) bool { return ev.Kind == chunk.Record && oracle.IsMap(ev.Body) }

// run goes through a chunk.
func (m *batchModel) run(events []chunk.Event) {
	limit := m.mode.records
	var outer *group
	for len(events) > 0 && !m.unknown {
		// As many as make a batch.
		most := min(limit, m.mode.records)
		n, records, size := 0, 0, 0
		for n < len(events) && records < most {
			size += len(events[n].Raw)
			if n > 0 && size > m.mode.bytes {
				break
			}
			if usable(events[n]) {
				records++
			}
			n++
		}
		batch := events[:n]
		ops, edits, why := m.call(batch, records, outer)
		if m.unknown {
			return
		}
		unseen := why == causeOf(guest.BadBuffer) || m.mode.guest == noBuffer
		if why != none && records > 1 && (unseen || m.mode.retry && !m.mode.stateful) {
			limit = records / 2
			continue
		}
		outer = m.emit(batch, ops, edits, why, outer)
		if why == none && limit < m.mode.records {
			limit *= 2
		}
		events = events[n:]
	}
}

// call is the guest's: what it says of events, and the groups as it wants them.
func (m *batchModel) call(batch []chunk.Event, records int, outer *group) (ops []modelOp, markers map[int][]segment, why cause) {
	m.reply = m.tag
	bad, groups, first := false, 0, 0
	asked := records > 0
	if outer != nil {
		groups, first = 1, 1
		asked = asked || !outer.answered && !outer.lost()
	}
	var starts []chunk.Event
	for _, ev := range batch {
		bad = bad || usable(ev) && ev.Body[len(ev.Body)-1] == badByte
		if ev.Kind == chunk.GroupStart {
			groups++
			starts = append(starts, ev)
			asked = true
		}
	}
	switch {
	case !asked:
		return nil, nil, none
	case m.mode.guest == noBuffer:
		return nil, nil, causeOf(guest.NoMemory)
	case m.mode.guest == oddBuffer:
		return nil, nil, causeOf(guest.BadBuffer)
	case bad && m.mode.guest == badTraps:
		return nil, nil, causeOf(guest.Trapped)
	case bad && m.mode.guest == badHasNoMemory:
		return nil, nil, causeOf(guest.NoMemory)
	}
	leaves := m.mode.guest == polite && outer != nil && outer.answered
	ops, groupOps, ok := m.parse(records, groups, leaves)
	markers = map[int][]segment{}
	m.errors = map[int]bool{}
	for i := 0; ok && i < groups; i++ {
		list := opsOn(groupOps, i)
		if len(list) == 0 {
			continue
		}
		ok = (i >= first || !outer.answered) && allowed(list, true)
		if ok && list[0].kind == opError {
			m.errors[i-first] = true
		} else if ok {
			var came chunk.Event
			if i >= first {
				came = starts[i-first]
			} else {
				came = outer.came
			}
			markers[i-first], ok = m.edited(came, list)
		}
	}
	if !ok {
		return nil, nil, causeOf(guest.BadReply)
	}
	for i, list := range markers {
		if i < 0 {
			outer.marker = list
			m.called = true
		}
	}
	if outer != nil {
		outer.errored = m.errors[-1]
		outer.answered = !outer.errored
	}
	return ops, markers, none
}

// emit emits a batch, and returns the group that is open behind it.
func (m *batchModel) emit(batch []chunk.Event, ops []modelOp, markers map[int][]segment, why cause, now *group) *group {
	var table []*group
	if now != nil {
		table = append(table, now)
	}
	starts := 0
	own := len(table)
	for _, ev := range batch {
		if ev.Kind == chunk.GroupStart {
			g := &group{came: ev, marker: []segment{{bytes: ev.Raw}}, errored: why == none && m.errors[starts]}
			g.answered = why == none && !g.errored
			g.refused = !g.answered && m.drops()
			if list, ok := markers[starts]; ok {
				g.marker = list
				m.called = true
			}
			starts++
			table = append(table, g)
		}
	}
	if now != nil && why != none && m.drops() {
		now.refused = true
	}
	next, record := len(table)-starts, -1
	for _, ev := range batch {
		m.turnTo(now)
		switch {
		case ev.Kind == chunk.GroupStart:
			now = table[next]
			next++
			own = next
			m.out = append(m.out, segment{start: now})
			m.open = now
			continue
		case ev.Kind == chunk.GroupEnd:
			m.out = append(m.out, segment{bytes: ev.Raw, end: now})
			now, own = nil, 0
			m.open = nil
			continue
		}
		m.want.Records++
		if !usable(ev) {
			m.fail(ev, now, recordNotMap)
			continue
		}
		record++
		if why != none {
			m.fail(ev, now, why)
			continue
		}
		if now != nil && now.errored {
			m.fail(ev, now, causeOf(guest.Error))
			continue
		}
		list := opsOn(ops, record)
		if len(list) == 0 {
			m.want.Returned++
			m.out = append(m.out, segment{bytes: ev.Raw})
			if now != nil {
				now.passed = true
			}
			continue
		}
		if allowed(list, false) && list[0].kind == opError {
			m.fail(ev, now, causeOf(guest.Error))
			continue
		}
		m.record(ev, list, own, table)
	}
	m.turnTo(now)
	return now
}

// record emits a record, and what is emitted behind it.
func (m *batchModel) record(ev chunk.Event, ops []modelOp, own int, table []*group) {
	now := m.open
	body, _ := m.edited(ev, nil)
	ok := allowed(ops, false)
	if ok {
		body, ok = m.edited(ev, ops)
	}
	type further struct {
		list []segment
		in   int
		tag  string
	}
	var emitted []further
	for _, o := range ops {
		if ok && (o.kind == opEmit || o.kind == opEmitTo) {
			f := further{}
			f.list, f.in, f.tag, ok = m.emitted(ev, body, own, o, len(table))
			ok = ok && (f.in == 0 || !table[f.in-1].errored)
			emitted = append(emitted, f)
		}
	}
	if !ok {
		m.open = now
		m.fail(ev, now, causeOf(guest.Breach))
		return
	}
	m.called = true
	if now != nil {
		now.passed = true
	}
	drop := slices.ContainsFunc(ops, func(o modelOp) bool { return o.kind == opDrop })
	if !drop {
		m.out = append(m.out, body...)
	}
	came := 0
	for _, f := range emitted {
		var g *group
		if f.in > 0 {
			g = table[f.in-1]
		}
		if f.tag != "" {
			m.route(f.tag, g, f.list)
			continue
		}
		m.turnTo(g)
		m.out = append(m.out, f.list...)
		came++
	}
	if !drop {
		came++
	}
	switch {
	case came == 0 && len(emitted) > 0:
		m.want.Routed++
		return
	case came == 0:
		m.want.Dropped++
		return
	}
	m.want.Returned++
	m.want.Added += uint64(came - 1)
}

// check compares what came out, and what was emitted under other tags.
func (m *batchModel) check(out []byte, routed []guest.JournalEntry) {
	m.t.Helper()
	// Markers of groups that are lost are left out, but for an end that has something to end.
	var pieces []segment
	inside := false
	for _, s := range m.out {
		switch {
		case s.start != nil && (s.copied || !s.start.lost()):
			pieces = append(pieces, s.start.marker...)
			inside = true
		case s.start != nil || s.end != nil && s.end.lost() && !inside:
		default:
			pieces = append(pieces, s)
			inside = inside && s.end == nil
		}
	}
	m.match(pieces, out)
	if len(routed) != len(m.routed) {
		m.t.Fatalf("%d events under other tags, want %d", len(routed), len(m.routed))
	}
	for i, r := range m.routed {
		if got := string(routed[i].Tag); got != r.tag {
			m.t.Fatalf("event %d has the tag %q, want %q", i, got, r.tag)
		}
		m.match(r.marker, routed[i].Marker)
		m.match(r.event, routed[i].Event)
	}
}

// match compares bytes with the pieces that they are to be.
func (m *batchModel) match(pieces []segment, out []byte) {
	m.t.Helper()
	for i, s := range pieces {
		switch {
		case s.marked != nil:
			out = checkMarked(m.t, *s.marked, out)
		case s.isMap:
			rest, err := msgp.Skip(out)
			if err != nil || !oracle.IsMap(out) {
				m.t.Fatalf("piece %d of %d: % x is no map (%v)", i, len(pieces), out[:min(len(out), 100)], err)
			}
			if diff := gocmp.Diff(s.members, oracle.Members(out[:len(out)-len(rest)]), cmpopts.EquateEmpty()); diff != "" {
				m.t.Fatalf("piece %d of %d: %s", i, len(pieces), diff)
			}
			out = rest
		case !bytes.HasPrefix(out, s.bytes):
			m.t.Fatalf("piece %d of %d: % x, want % x", i, len(pieces), out[:min(len(out), len(s.bytes)+40)], s.bytes)
		default:
			out = out[len(s.bytes):]
		}
	}
	if len(out) > 0 {
		m.t.Fatalf("% x is left over", out)
	}
}

// A reply of a fuzz input: with a first byte that is even, operations that are more or less valid,
// else any bytes.
func replyOf(input []byte, events []chunk.Event) []byte {
	if len(input) == 0 || input[0]&1 > 0 {
		return input[min(len(input), 1):]
	}
	input = input[1:]
	take := func() byte {
		if len(input) == 0 {
			return 0
		}
		b := input[0]
		input = input[1:]
		return b
	}
	deep := func(n int) []byte { return join(bytes.Repeat([]byte("\x81\xa1d"), n), []byte{1}) }
	maps := [][]byte{{0x80}, []byte("\x81\xa1k\xa1v"), []byte("\x82\xa1a\x01\xa1b\xc0"), []byte("\xdf\x00\x00\x00\x01\xa1w\x90"), deep(30), deep(31), deep(32), deep(40)}
	pool := [][]byte{nil, []byte("\xa1k\x07"), []byte("\xa1k"), []byte("\x05"), []byte("\xd9\x01k\xa1x"), []byte("\xa1a\x01\xa1k\x02"), []byte("\x90"), []byte("\xc1"), []byte("\xa3lo"), []byte("\xa1z\xc0")}
	var keys [][]byte
	for _, ev := range events {
		for _, v := range [][]byte{ev.Body, metadataOf(ev)} {
			if len(v) == 0 || len(keys) > 100 {
				continue
			}
			for _, p := range oracle.Parts(v) {
				keys = append(keys, v[p.At:p.At+p.Len])
			}
		}
	}
	tags := [][]byte{[]byte("other.a"), []byte("x"), []byte("other.b"), []byte("the end"), join([]byte("other."), bytes.Repeat([]byte("t"), 1018)),
		join([]byte("other."), bytes.Repeat([]byte("t"), 1019)), nil, []byte("other"), []byte("other.\x1f"), []byte("other.\x7f"), []byte("\x00end"), []byte("other.\xff\x80"), []byte("xx")}
	pick := func(list [][]byte, i byte) []byte {
		if len(list) == 0 {
			return nil
		}
		return list[int(i)%len(list)]
	}
	var lists [2][]batchOp
	for _, i := range []int{0, 1} {
		of := uint32(0)
		count := int(take()) % []int{24, 4}[i] // one that may not be is a breach of all on groups
		for range count {
			if len(input) == 0 {
				break
			}
			k := take()
			o := batchOp{kind: k % 11, part: k / 11 % 2}
			if i == 1 && k%5 == 0 { // drop is none for a group
				o.kind = opError
			}
			of += []uint32{0, 0, 1, 2}[take()&3]
			o.of = of
			how, what := take(), take()
			if k > 250 {
				o.kind, o.part = take(), take()
			}
			switch o.kind {
			case opTime:
				o.a, o.b = []uint32{0, 5, 1<<32 - 3, 1<<32 - 2}[how&3], []uint32{0, 999999999, 1000000000, 7}[how>>2&3]
			case opReplace:
				o.bytes = pick(maps, what)
				if how > 240 {
					o.bytes = pick(pool, what)
				}
			case opSet:
				o.bytes = pick(pool, what)
				if how < 128 {
					o.bytes = join(pick(keys, what), pick(maps, how))
				}
			case opAdd:
				o.a = uint32(how & 3)
				for range how & 3 {
					o.bytes = append(o.bytes, pick(pool, what)...)
				}
				if how < 200 {
					o.bytes = bytes.Repeat([]byte("\xa1k\x07"), int(how&3))
				}
			case opRemove:
				o.bytes = pick(keys, what)
				if how > 200 {
					o.bytes = pick(pool, what)
				}
			case opPut:
				if int(of) < len(events) {
					v := events[of].Body
					if o.part == 1 {
						v = metadataOf(events[of])
					}
					if len(v) > 0 {
						p := oracle.Parts(v)
						at := p[int(what)%len(p)]
						o.a, o.b = uint32(at.At), uint32(at.Len)
					}
				}
				o.bytes = pick(keys, how)
				if how > 128 {
					o.bytes = pick(maps, how)
				}
			case opEmit, opEmitTo:
				body, metadata := pick(maps, what), pick(maps, what/8)
				if how&1 > 0 {
					metadata = nil
				}
				at := uint32(describing(o.kind)) // where they stand behind what says so
				sec := []uint64{math.MaxUint64, 0, 7, 1<<32 - 3, 1<<32 - 2, 1 << 40}[int(how/2)%6]
				o.bytes = binary.LittleEndian.AppendUint64(nil, sec)
				for _, v := range []uint32{uint32(how), []uint32{math.MaxUint32, 0, 1, 2, 3, math.MaxUint32}[int(what/16)%6], at + uint32(len(body)), uint32(len(metadata)), at, uint32(len(body))} {
					o.bytes = binary.LittleEndian.AppendUint32(o.bytes, v)
				}
				var tag []byte
				if o.kind == opEmitTo {
					tag = pick(tags, how/4)
					o.bytes = binary.LittleEndian.AppendUint32(o.bytes, at+uint32(len(body)+len(metadata)))
					o.bytes = binary.LittleEndian.AppendUint32(o.bytes, uint32(len(tag)))
				}
				o.bytes = join(o.bytes, body, metadata, tag)
			case opDrop, opError:
				o.a, o.bytes = uint32(how), pick(pool, what)
			}
			lists[i] = append(lists[i], o)
		}
	}
	// Of what is emitted it is known now where it will stand.
	at := uint32(scriptReply + 16 + 24*(len(lists[0])+len(lists[1])))
	for _, list := range lists {
		for i, o := range list {
			if n := describing(o.kind); (o.kind == opEmit || o.kind == opEmitTo) && len(o.bytes) >= n {
				list[i].bytes = bytes.Clone(o.bytes)
				for word := list[i].bytes[16:n]; len(word) > 0; word = word[8:] {
					binary.LittleEndian.PutUint32(word, little(word)+at)
				}
			}
			at += uint32(len(o.bytes))
		}
	}
	return script(lists[0], lists[1])
}

func metadataOf(ev chunk.Event) []byte {
	_, metadata := ev.Parts()
	return metadata
}

// batchEvents are events and markers of most kinds.
func batchEvents() [][]byte {
	body := func(s string) map[string]any { return map[string]any{"log": s, "n": map[string]any{"a": 1}} }
	record, bad := event(1, body("x")), event(2, map[string]any{"log": "y!"})
	legacy := oracle.Pack([]any{5, body("l")})
	start := oracle.Pack([]any{[]any{-1, map[string]any{"m": 1}}, map[string]any{"resource": body("r")}})
	end := oracle.Pack([]any{[]any{-2, map[string]any{}}, map[string]any{}})
	oddStart := oracle.Pack([]any{[]any{-1, map[string]any{}}, 5})
	wideTime := []byte("\x92\x92\xc9\x00\x00\x00\x08\x00\x00\x00\x00\x07\x00\x00\x00\x01\x80\x81\xa1a\x01")
	noMap := oracle.Pack([]any{3, 4})
	float := oracle.Pack([]any{[]any{1.5, map[string]any{"m": "y"}}, body("f")})
	return [][]byte{record, bad, legacy, start, end, oddStart, wideTime, noMap, float}
}

// FuzzBatch runs any chunk through batch guests that reply anything, and compares what comes of it with
// a model of docs/abi.md.
func FuzzBatch(f *testing.F) {
	events := batchEvents()
	record, bad, legacy, start, end, oddStart, wideTime, noMap, float := events[0], events[1], events[2], events[3], events[4], events[5], events[6], events[7], events[8]
	chunks := [][]byte{
		join(record, record, bad, record, legacy, record), join(start, record, bad, end, start, record, start, wideTime, float),
		join(record, noMap, start, legacy, end, end, record), join(oddStart, record, start, wideTime, record), join(noMap, noMap, start, end),
		record[:len(record)-1], join(record, start, record)[:40], nil,
		join(start, record, record, record, start, wideTime, record, end, record),
	}
	modes := []batchMode{
		{records: 1000, bytes: 1 << 20}, {records: 2, bytes: 1 << 20, onError: options.Mark}, {records: 3, bytes: 40, onError: options.Drop},
		{records: 5, bytes: 1 << 20, guest: badTraps, retry: true}, {records: 4, bytes: 1 << 20, guest: badTraps},
		{records: 5, bytes: 1 << 20, guest: badHasNoMemory, retry: true, stateful: true}, {records: 5, bytes: 1 << 20, guest: badHasNoMemory},
		{records: 2, bytes: 1 << 20, guest: polite}, {records: 2, bytes: 1 << 20, guest: polite, onError: options.Route}, {records: 5, bytes: 1 << 20, guest: badTraps, onError: options.Route},
		{records: 5, bytes: 1 << 20, guest: noBuffer}, {records: 1000, bytes: 1 << 20, guest: oddBuffer, onError: options.Mark, retry: true},
	}
	var replies [][]byte
	for kind := range byte(11) {
		for part := range byte(2) {
			for _, how := range []byte{0, 2, 9, 130, 255} {
				k := kind + part*11
				replies = append(replies,
					[]byte{0, 5, k, 0, how, 1, k, 1, how, 3, k, 2, how, 34, k, 2, how, 17, k, 3, how, 70, 0},
					[]byte{0, 2, k, 2, how, how, k, 2, how, 3, 3, k, 0, how, 1, k, 2, how, 1, k, 2, how, 2})
			}
		}
	}
	replies = append(replies, nil, []byte{1}, append([]byte{1}, script([]batchOp{{of: 1, kind: opDrop}, {of: 0, kind: opDrop}}, nil)...),
		append([]byte{1}, bytes.Repeat([]byte{0xff}, 16)...), append([]byte{1}, bytes.Repeat([]byte{0}, 17)...),
		append([]byte{1}, "\x00\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"...),
		append([]byte{1}, script([]batchOp{{of: 0, kind: opError, a: 7, bytes: []byte("why")}, {of: 1, kind: opTime, part: 9}, {of: 1, kind: opSet, part: 2}}, nil)...))
	for i, c := range chunks {
		for j, m := range modes {
			for k := (i + j) % 11; k < len(replies); k += 11 {
				f.Add(c, replies[k], m.bits())
			}
		}
	}
	try := batchTrial(f)
	f.Fuzz(func(t *testing.T, data, input []byte, bits uint16) { try(t, data, input, bits) })
}

// TestRandomBatches does what FuzzBatch does, with inputs that are made of the like of its seeds. With
// FLB_BATCHES it is so many of them.
func TestRandomBatches(t *testing.T) {
	n, err := strconv.Atoi(cmp.Or(os.Getenv("FLB_BATCHES"), "3000"))
	if err != nil {
		t.Fatal(err)
	}
	try := batchTrial(t)
	random := rand.New(rand.NewPCG(uint64(n), 1))
	events := batchEvents()
	for i := range n {
		var data []byte
		for range random.IntN(8) {
			data = append(data, events[random.IntN(len(events))]...)
		}
		if random.IntN(20) == 0 {
			data = data[:random.IntN(len(data)+1)]
		}
		input := make([]byte, random.IntN(120))
		for j := range input {
			input[j] = byte(random.Uint32())
		}
		if len(input) > 1 {
			input[0] &= 0xfe
			input[1] %= 6
		}
		if try(t, data, input, uint16(random.Uint32())); t.Failed() {
			t.Fatalf("input %d: []byte(%q), []byte(%q)", i, data, input)
		}
	}
}

// batchTrial returns what FuzzBatch does with an input.
func batchTrial(tb testing.TB) func(t *testing.T, data, input []byte, bits uint16) {
	var paths [numBatchGuests][2]string
	for kind := range paths {
		for i, stateful := range []bool{false, true} {
			paths[kind][i] = writeGuest(tb, batchGuest(kind, stateful))
			// While one filter has the module, the others need not compile it.
			tb.Cleanup(newBatchFilter(tb, paths[kind][i], batchMode{records: 1, bytes: 1}).Close)
		}
	}
	filters := map[batchMode]*Filter{} // an instance takes longer to be made than to be called
	tb.Cleanup(func() {
		for _, filter := range filters {
			filter.Close()
		}
	})
	return func(t *testing.T, data, input []byte, bits uint16) {
		if len(data) > 4096 || len(input) > 3000 {
			return
		}
		mode := batchModeOf(bits)
		events, readable := readChunk(t, data)
		reply := replyOf(input, events)
		if len(reply) > 1<<16 {
			return
		}
		before := bytes.Clone(data)
		stateful := 0
		if mode.stateful {
			stateful = 1
		}
		filter := filters[mode]
		if filter == nil {
			if len(filters) == 100 {
				for _, filter := range filters {
					filter.Close()
				}
				clear(filters)
			}
			filter = newBatchFilter(t, paths[mode.guest][stateful], mode)
			filters[mode] = filter
		}
		total := filter.Stats()
		out, modified := filter.Run(reply, data)
		routed := slices.Collect(filter.lane.TakeJournal())
		checkBatch(t, mode, data, reply, events, readable, out, modified, routed, since(filter.Stats(), total))
		if !bytes.Equal(data, before) {
			t.Error("the chunk was written to")
		}
	}
}

func newBatchFilter(tb testing.TB, path string, m batchMode) *Filter {
	filter, err := New(options.Options{
		WasmPath: path, FunctionName: "filter", OnError: m.onError, RouteTag: failedTag, EmitTags: emitTags, Timeout: time.Minute,
		BatchRecords: m.records, BatchBytes: int64(m.bytes), RetryBatch: m.retry,
	}, func(hostlog.Level, string) {})
	if err != nil {
		tb.Fatal(err)
	}
	return filter
}

func checkBatch(t *testing.T, mode batchMode, data, reply []byte, events []chunk.Event, readable bool, out []byte, modified bool, routed []guest.JournalEntry, got Stats) {
	t.Helper()
	got.GivenUp, got.Recycled, got.TimedOut, got.NoMemory, got.Errors, got.OtherErrors = 0, 0, 0, 0, Stats{}.Errors, 0
	if !readable {
		if diff := gocmp.Diff(Stats{Chunks: 1, Corrupt: 1}, got); diff != "" || modified || len(routed) > 0 {
			t.Error(modified, routed, diff)
		}
		return
	}
	if !modified {
		out = data
	}
	if sum := got.Returned + got.Dropped + got.Routed + got.Failed; sum != got.Records {
		t.Errorf("%d records, and %d returned, %d dropped, %d routed, %d failed", got.Records, got.Returned, got.Dropped, got.Routed, got.Failed)
	}
	if _, ok := readChunk(t, out); !ok {
		t.Errorf("what comes out can't be read: % x", out)
	}
	m := &batchModel{t: t, mode: mode, tag: reply, causes: map[cause]uint64{}}
	m.want.Chunks = 1
	m.run(events)
	if m.unknown || m.size > 16<<20 {
		return
	}
	m.check(out, routed)
	for c, n := range m.causes {
		m.want.Causes[c] = n
	}
	if diff := gocmp.Diff(m.want, got); diff != "" {
		t.Error(diff)
	}
	if modified && !m.called && mode.onError == options.Passthrough && len(reply) < 16 {
		t.Error("what is kept was modified")
	}
}
