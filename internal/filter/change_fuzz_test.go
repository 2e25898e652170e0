package filter

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tinylib/msgp/msgp"
	"github.com/ugorji/go/codec"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/transcode"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// An step is one of the interpreter.
type step struct {
	letter         byte
	tag            string
	body, metadata string // what is set is the body
	sec            int64
	nsec           uint32
}

// stepsOf makes steps of any bytes.
func stepsOf(in []byte) (list []step) {
	take := func(n int) []byte {
		n = min(n, len(in))
		b := in[:n]
		in = in[n:]
		return b
	}
	number := func() int {
		if b := take(1); len(b) > 0 {
			return int(b[0])
		}
		return 0
	}
	// Times at the edges of what there may be, and others.
	secs := []int64{-1, 0, 1<<32 - 3, 1<<32 - 2, 1 << 32, -2, math.MinInt64, 1700000000}
	nsecs := []uint32{0, 999999999, 1000000000, math.MaxUint32}
	for len(in) > 0 && len(list) < 20 {
		o := step{letter: "tmgeMGTrdxE"[number()%11]}
		switch o.letter {
		case 't':
			at := number()
			o.sec, o.nsec = secs[at%8], nsecs[at/8%4]
		case 'e', 'E':
			at := number()
			o.sec, o.nsec = secs[at%8], nsecs[at/8%4]
			if o.letter == 'E' {
				tags := []string{"x", "other.1", "other.1", "other.", "the end", "", "other", "other.\n", "xx"}
				o.tag = tags[number()%len(tags)]
			}
			o.body = string(take(number()))
			o.metadata = string(take(number()))
		case 'm', 'g', 'T':
			o.body = string(take(number()))
		case 'r':
			o.body = string(take(len(in)))
		}
		list = append(list, o)
	}
	return list
}

func (o step) String() string {
	switch o.letter {
	case 't':
		return timeSet(o.sec, o.nsec)
	case 'e':
		return emit(o.body, o.metadata, o.sec, o.nsec)
	case 'E':
		return emitTo(o.tag, o.body, o.metadata, o.sec, o.nsec)
	case 'm', 'g', 'T':
		return op(o.letter, o.body)
	}
	return string(o.letter) + o.body
}

// A value is one of a chunk: as it came, or as the guest gave it.
type value struct {
	came  []byte
	given *string
}

// text is what a guest is told of the value; not ok if that can't be said here.
func (v value) text(format options.EventFormat) (text string, ok bool) {
	if v.given != nil {
		return *v.given, true
	}
	if format == options.Msgpack {
		return string(v.came), true
	}
	if mp.Depth(v.came) > 50 || hasOdd(v.came) {
		return "", false // -2, perhaps
	}
	json, _, err := transcode.AppendJSON(nil, v.came)
	return string(json), err == nil
}

// hasOdd says whether a value has parts that are not made JSON in C, for certain or perhaps: its keys,
// and extensions.
func hasOdd(v []byte) bool {
	elements, isMap, err := oracle.Elements(v)
	if err != nil {
		return mp.KindOf(v[0]) == mp.Ext
	}
	for i, e := range elements {
		if hasOdd(e) || isMap && i%2 == 0 && mp.KindOf(e[0]) != mp.Str && mp.KindOf(e[0]) != mp.Bin {
			return true
		}
	}
	return false
}

// valid says whether a value can be used where one may nest depth deep, or as deep as what it takes the
// place of.
func (v value) valid(format options.EventFormat, depth int, place value) bool {
	if v.given == nil {
		return true
	}
	depth = max(depth, place.depth(format))
	if format == options.Msgpack {
		text := []byte(*v.given)
		rest, err := msgp.Skip(text)
		return err == nil && len(rest) == 0 && mp.KindOf(text[0]) == mp.Map && mp.Depth(text) <= depth
	}
	object, isObject := v.json().(pairs)
	return isObject && jsonDepth(object) <= depth && numbersFit(object)
}

// json is the value that a guest gave as JSON, nil if that is not all that it gave.
func (v value) json() any {
	text, _ := oracle.EscapeControls([]byte(*v.given))
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	parsed, err := parseJSON(d)
	if err != nil || len(bytes.Trim(text[d.InputOffset():], " \t\r\n")) > 0 {
		return nil
	}
	return parsed
}

func (v value) depth(format options.EventFormat) int {
	switch {
	case v.given == nil:
		return mp.Depth(v.came)
	case format == options.Msgpack:
		return mp.Depth([]byte(*v.given))
	default:
		return jsonDepth(v.json())
	}
}

// check compares what is in a chunk with the value.
func (v value) check(t *testing.T, format options.EventFormat, got []byte, what string) {
	t.Helper()
	if v.given == nil || format == options.Msgpack {
		want := v.came
		if v.given != nil {
			want = []byte(*v.given)
		}
		if !bytes.Equal(want, got) {
			t.Fatalf("%s: want % x, got % x", what, want, got)
		}
		return
	}
	// What came and JSON does not hold may be in its place: it has the same JSON.
	text, _, err := transcode.AppendJSON(nil, got)
	if err == nil {
		got, _, err = transcode.AppendMsgpack(nil, text, mp.Depth(got)+64)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := equalJSON(got, v.json()); err != nil {
		t.Fatalf("%s: %q: %v", what, *v.given, err)
	}
}

// madeEvent is an event that has to come out.
type madeEvent struct {
	tag            string // that it is emitted under; "": that of the chunk
	raw            []byte // if it is not nil, all of it
	legacy         bool
	time           []byte
	metadata, body value
}

// made is what has to become of a record.
type made struct {
	failed, dropped bool
	events          []madeEvent
	emitted         int
	group           *value // set
}

func timestamp(sec int64, nsec uint32) []byte {
	return mp.AppendTimestampExt(nil, sec, nsec)
}

// play is what the steps make of a record in a group, which may be nil. Not known: it is not
// modelled.
func play(format options.EventFormat, ev chunk.Event, group *value, steps []step) (m made, known bool) {
	if !ev.BodyIsMap() {
		return made{failed: true}, true
	}
	if format == options.JSON {
		if _, _, err := transcode.AppendJSON(nil, ev.Body); err != nil {
			return made{failed: true}, true
		}
	}
	split, isMap, err := oracle.Elements(ev.Header)
	time, metadata := ev.Header, value{came: []byte{0x80}}
	if !ev.Legacy {
		if err != nil || isMap || len(split) != 2 {
			return made{}, false
		}
		time, metadata = split[0], value{came: split[1]}
	}
	came, groupCame := metadata, group
	now := [2]uint64{uint64(uint32(ev.Sec)), uint64(ev.Nsec)}
	ok := func(sec int64, nsec uint32) bool { return sec >= 0 && sec < 1<<32-2 && nsec < 1e9 }
	type further struct {
		tag      string
		body     value
		metadata *value
		time     []byte
	}
	var list []further
	reply := value{came: ev.Body}
	repeats, dropped := true, false
	setGroup := false
	touched := false
	for _, o := range steps {
		body := o.body
		switch o.letter {
		case 't':
			if ok(o.sec, o.nsec) {
				time, now, touched = timestamp(o.sec, o.nsec), [2]uint64{uint64(o.sec), uint64(o.nsec)}, true
			}
		case 'm':
			if !ev.Legacy && body != "" {
				metadata, touched = value{given: &body}, true
			}
		case 'g':
			if group != nil && body != "" {
				group, setGroup, touched = &value{given: &body}, true, true
			}
		case 'e', 'E':
			if o.letter == 'E' && !granted([]byte(o.tag)) {
				break
			}
			if body == "" || o.sec != -1 && !ok(o.sec, o.nsec) || o.metadata != "" && ev.Legacy {
				break
			}
			f := further{tag: o.tag, body: value{given: &body}}
			if other := o.metadata; other != "" {
				f.metadata = &value{given: &other}
			}
			if o.sec != -1 {
				f.time = timestamp(o.sec, o.nsec)
			}
			list, touched = append(list, f), true
		case 'M', 'G':
			of := &metadata
			if o.letter == 'G' {
				if of = group; of == nil {
					break
				}
			}
			text, known := of.text(format)
			if !known {
				return made{}, false
			}
			list, touched = append(list, further{body: value{given: &text}}), true
		case 'T':
			all := now[0]*1e9 + now[1]
			if sec := int64(all / 1e9); body != "" && ok(sec, uint32(all%1e9)) {
				list, touched = append(list, further{body: value{given: &body}, time: timestamp(sec, uint32(all%1e9))}), true
			}
		case 'd':
			dropped = true
		case 'x':
			return made{failed: true}, true
		case 'r':
			repeats, reply = false, value{given: &body}
			if body == "" {
				dropped = true
			}
		}
		if dropped || o.letter == 'r' {
			break
		}
	}
	if !dropped && !repeats {
		return made{}, false // FuzzFilter is for replies
	}
	check := func(v value, depth int, place value) {
		m.failed = m.failed || !v.valid(format, depth, place)
	}
	check(metadata, 30, came)
	if setGroup {
		check(*group, 31, *groupCame)
		m.group = group
	}
	if !dropped {
		e := madeEvent{legacy: ev.Legacy, time: time, metadata: metadata, body: reply}
		if !touched {
			e.raw = ev.Raw
		}
		m.events = append(m.events, e)
	}
	for _, f := range list {
		e := madeEvent{tag: f.tag, legacy: ev.Legacy, time: time, metadata: metadata, body: f.body}
		if f.tag == "" {
			m.emitted++
		}
		check(f.body, 31, value{came: ev.Body})
		if f.metadata != nil {
			e.metadata = *f.metadata
			check(e.metadata, 30, came)
		}
		if f.time != nil {
			e.time = f.time
		}
		m.events = append(m.events, e)
	}
	m.dropped = dropped
	if m.failed {
		m = made{failed: true}
	}
	return m, true
}

// FuzzChanges runs any chunk through guests that set and emit anything, and works out what has to come
// of it.
func FuzzChanges(f *testing.F) {
	group := join(groupStart(object{"k": "v"}), with(1, 2, object{"m": 1}, object{"n": 1}), with(2, 2, object{}, object{}), groupEnd())
	legacy := legacyEvent(3, object{"log": "x"})
	for bits := range uint8(8) {
		f.Add(join(group, legacy), []byte("\x00\x0f\x01\x07{\"a\":1}\x02\x07{\"b\":2}\x03\x07\x07{\"c\":3}\x02{}\x04\x05\x06\x02{}"), bits)
		f.Add(join(legacy, group, group), []byte("\x01\x03\x81\xa1a\x01\x02\x01\x80\x03\x00\x01\x80\x00\x08"), bits)
		f.Add(join(group[:len(group)-20], group), []byte("\x02\x0b{\"g\":[1.5]}\x05\x09"), bits)
		// emit_to, group_set, emit_to, and the record dropped, or not
		f.Add(join(legacy, group, group), []byte("\x0a\x00\x01\x07{\"a\":1}\x00\x02\x09{\"g\":[1]}\x0a\x02\x02\x07{\"a\":2}\x00\x08"), bits)
		f.Add(join(group, legacy, group), []byte("\x0a\x00\x00\x04\x81\xa1a\x01\x00\x02\x04\x81\xa1g\xc0\x0a\x02\x04\x04\x81\xa1b\x01\x00"), bits)
		f.Add(join(group, group), []byte("\x05\x04\x02\x03\x81\xa1g\xc0\x05"), bits)
	}
	path := writeGuest(f, routingInterpreter)
	newFuzzFilter(f, path, 0)
	f.Fuzz(func(t *testing.T, data, program []byte, bits uint8) {
		if len(data) > 4096 || len(program) > 4000 {
			return
		}
		m := mode(bits & 7)
		steps := stepsOf(program)
		var text []byte
		for _, o := range steps {
			text = append(text, o.String()...)
			if o.letter == 'r' {
				break
			}
		}
		filter := newFuzzFilter(t, path, m)
		var first []byte
		var elsewhere []guest.JournalEntry
		for i := range 2 {
			total := filter.Stats()
			out, modified := filter.Run(text, data)
			if !modified {
				out = data
			}
			elsewhere = slices.Collect(filter.lane.TakeJournal())
			checkChanges(t, m, data, steps, out, elsewhere, since(filter.Stats(), total))
			if i == 0 {
				first = bytes.Clone(out)
			}
		}
		if bits&8 == 0 {
			return
		}
		// Shared between instances it becomes the same.
		shared, err := New(options.Options{
			WasmPath: path, FunctionName: "filter", EventFormat: m.format(), OnError: m.onError(), Timeout: time.Minute, Workers: 3, EmitTags: emitTags,
		}, func(hostlog.Level, string) {})
		if err != nil {
			t.Fatal(err)
		}
		defer shared.Close()
		out, modified := shared.Run(text, data)
		if !modified {
			out = data
		}
		if !bytes.Equal(first, out) {
			t.Fatalf("by one % x, by three % x", first, out)
		}
		if diff := cmp.Diff(elsewhere, slices.Collect(shared.lane.TakeJournal())); diff != "" {
			t.Fatal(diff)
		}
	})
}

// checkChanges decides about one chunk.
func checkChanges(t *testing.T, m mode, data []byte, steps []step, out []byte, elsewhere []guest.JournalEntry, got Stats) {
	t.Helper()
	events, readable := readChunk(t, data)
	if !readable {
		if !bytes.Equal(data, out) {
			t.Fatalf("a chunk that can't be read was modified: % x", out)
		}
		if len(elsewhere) > 0 {
			t.Fatalf("events of a chunk that can't be read: %v", elsewhere)
		}
		return
	}
	results, readable := readChunk(t, out)
	if !readable {
		t.Fatalf("% x can't be read", out)
	}
	next := func() chunk.Event {
		if len(results) == 0 {
			t.Fatalf("an event is missing in % x", out)
		}
		ev := results[0]
		results = results[1:]
		return ev
	}
	want := Stats{Chunks: 1}
	var group *value
	var marker chunk.Event // that came out
	nextElsewhere := func(tag string) chunk.Event {
		if len(elsewhere) == 0 {
			t.Fatalf("an event under the tag %q is missing", tag)
		}
		r := elsewhere[0]
		elsewhere = elsewhere[1:]
		want.Elsewhere++
		if string(r.Tag) != tag {
			t.Fatalf("tag %q, want %q", r.Tag, tag)
		}
		one := func(b []byte) chunk.Event {
			ev, rest, err := chunk.Next(b)
			if err != nil || len(rest) > 0 {
				t.Fatalf("% x: %v", b, err)
			}
			return ev
		}
		if group == nil && len(r.Marker) > 0 {
			t.Fatalf("a marker outside of groups: % x", r.Marker)
		}
		if group != nil {
			m1 := one(r.Marker)
			if !bytes.Equal(m1.Header, marker.Header) {
				t.Fatalf("header of a marker: % x, was % x", m1.Header, marker.Header)
			}
			group.check(t, m.format(), m1.Body, "body of a marker under another tag")
		}
		return one(r.Event)
	}
	checkGroup := func() {
		if group != nil {
			group.check(t, m.format(), marker.Body, "body of a marker")
		}
	}
	plays := make([]made, len(events))
	for i, ev := range events {
		var known bool
		switch {
		case ev.Kind == chunk.GroupStart:
			group = &value{came: ev.Body}
			continue
		case ev.Kind == chunk.GroupEnd:
			group = nil
			continue
		}
		if plays[i], known = play(m.format(), ev, group, steps); !known {
			return
		}
		if r := plays[i]; !r.failed && r.group != nil {
			group = r.group
		}
	}
	group = nil
	lost := lostMarkers(events, func(i int) bool { return m.onError() == options.Drop && plays[i].failed })
	for i, ev := range events {
		if ev.Kind != chunk.Record {
			checkGroup()
			group = nil
			if lost[i] {
				continue
			}
			was := next()
			if !bytes.Equal(ev.Header, was.Header) {
				t.Fatalf("header of a marker: % x, was % x", was.Header, ev.Header)
			}
			if ev.Kind == chunk.GroupStart {
				group, marker = &value{came: ev.Body}, was
			} else if !bytes.Equal(ev.Raw, was.Raw) {
				t.Fatalf("end of a group: % x, was % x", was.Raw, ev.Raw)
			}
			continue
		}
		want.Records++
		r := plays[i]
		if r.failed {
			want.Failed++
			switch m.onError() {
			case options.Drop:
			case options.Mark:
				checkMarked(t, ev, next().Raw)
			default:
				if raw := next().Raw; !bytes.Equal(raw, ev.Raw) {
					t.Fatalf("record that failed: % x, was % x", raw, ev.Raw)
				}
			}
			continue
		}
		if r.group != nil {
			group = r.group
		}
		switch {
		case !r.dropped:
			want.Returned++
		case slices.ContainsFunc(r.events, func(e madeEvent) bool { return e.tag != "" }):
			want.Routed++
		default:
			want.Dropped++
		}
		want.Added += uint64(r.emitted)
		for _, e := range r.events {
			var was chunk.Event
			if e.tag == "" {
				was = next()
			} else {
				was = nextElsewhere(e.tag)
			}
			if e.raw != nil {
				if !bytes.Equal(e.raw, was.Raw) {
					t.Fatalf("% x, was % x", was.Raw, e.raw)
				}
				continue
			}
			parts, _, err := oracle.Elements(was.Header)
			if was.Legacy {
				parts, err = []codec.Raw{was.Header}, nil
			}
			if err != nil || was.Legacy != e.legacy || !bytes.Equal(parts[0], e.time) {
				t.Fatalf("header % x, want time % x, legacy %v", was.Header, e.time, e.legacy)
			}
			if !e.legacy {
				e.metadata.check(t, m.format(), parts[1], "metadata")
			}
			e.body.check(t, m.format(), was.Body, "body")
		}
	}
	checkGroup()
	if len(results) > 0 {
		t.Fatalf("% x is left over", results[0].Raw)
	}
	if len(elsewhere) > 0 {
		t.Fatalf("%v are left over", elsewhere)
	}
	got.Causes, got.GivenUp, got.Recycled, got.TimedOut, got.NoMemory = want.Causes, 0, 0, 0, 0
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}
