package filter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tinylib/msgp/msgp"
	"github.com/ugorji/go/codec"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/hostlog"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/options"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/transcode"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// The guests of FuzzFilter. Most reply with their tag, which may be any bytes.
// Their malloc puts record, NUL, tag and NUL at the very end of memory, so that
// it is known what a host that reads on would find.
const (
	replyTag      = iota // the tag, a NUL, and the end of memory
	replyTagGrown        // the same, in pages that the host grows
	replyTagFilled
	replyTagOrTrap   // traps on records of an odd length
	replyTagOrNoRoom // its malloc fails or traps for some lengths
	replyRecord
	replyNull
	replyOutside
	numGuests
)

// replyTagFilled overwrites the tag's NUL, and has as many bytes more behind it.
const (
	filler      = '}'
	fillerBytes = 256
)

func fuzzGuest(kind int) string {
	const (
		memory = 2097152
		tag    = "(local.get 0)"
	)
	malloc := fmt.Sprintf("(i32.sub (i32.const %d) (local.get $n))", memory)
	filter := tag
	switch kind {
	case replyTagGrown:
		return `(module (memory (export "memory") 1)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local.get 0)))`
	case replyTagFilled:
		malloc = fmt.Sprintf("(i32.sub (i32.const %d) (local.get $n))", memory-fillerBytes)
		end := "(i32.add (local.get 0) (local.get 1))"
		filter = fmt.Sprintf("(memory.fill %s (i32.const %d) (i32.sub (i32.const %d) %s)) %s", end, filler, memory, end, tag)
	case replyTagOrTrap:
		filter = "(if (i32.and (local.get 5) (i32.const 1)) (then unreachable)) " + tag
	case replyTagOrNoRoom:
		malloc = `(if (i32.eqz (i32.rem_u (local.get $n) (i32.const 3))) (then unreachable))
    (select (i32.const 0) ` + malloc + ` (i32.eq (i32.rem_u (local.get $n) (i32.const 3)) (i32.const 1)))`
	case replyRecord:
		filter = "(local.get 4)"
	case replyNull:
		filter = "(i32.const 0)"
	case replyOutside:
		filter = "(i32.const -16)"
	}
	return `(module (memory (export "memory") 32 32)
  (func (export "malloc") (param $n i32) (result i32) ` + malloc + `)
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) ` + filter + `))`
}

// mode is what a fuzz input says besides chunk and reply.
type mode uint8

func modeOf(format options.EventFormat, onError options.OnError, guest int) mode {
	return mode(int(format)&1 | int(onError)<<1 | guest<<3)
}

const splits mode = 1 << 7

func (m mode) split() bool { return m&splits != 0 }

func (m mode) format() options.EventFormat { return options.EventFormat(m & 1) }
func (m mode) onError() options.OnError    { return options.OnError((m >> 1 & 3) % 3) }
func (m mode) guest() int                  { return int(m>>3&15) % numGuests }

// FuzzFilter runs any chunk through guests that reply anything, and works out by
// ugorji/go/codec, encoding/json and tinylib/msgp what has to come of it.
func FuzzFilter(f *testing.F) {
	record := event(1, map[string]any{"a": 1})
	legacy := oracle.Pack([]any{5, map[string]any{"log": "x"}})
	group := join(oracle.Pack([]any{[]any{-1, map[string]any{}}, map[string]any{}}), record,
		oracle.Pack([]any{[]any{-2, map[string]any{}}, map[string]any{}}))
	for guest := range numGuests {
		f.Add(join(record, legacy), []byte(`{"b":[1,2.5,"x"]}`), uint8(modeOf(options.JSON, options.Passthrough, guest)))
		f.Add(join(group, legacy), []byte("\x81\xa1b\x00"), uint8(modeOf(options.Msgpack, options.Mark, guest)))
		f.Add(join(record, legacy, group), []byte(`[1]`), uint8(modeOf(options.JSON, options.Drop, guest)))
		f.Add(join(record, legacy), []byte("{\"b\":1}\n{\"c\":[{}]} "), uint8(modeOf(options.JSON, options.Mark, guest)|splits))
		f.Add(join(record, group), []byte(`[{"b":1},{"c":2}]`), uint8(modeOf(options.JSON, options.Passthrough, guest)|splits))
		f.Add(join(legacy, record), []byte("\x92\x81\xa1b\x00\x80"), uint8(modeOf(options.Msgpack, options.Drop, guest)|splits))
	}
	paths := make([]string, numGuests)
	for i := range paths {
		paths[i] = writeGuest(f, fuzzGuest(i))
		// While one filter has the module, the others need not compile it.
		newFuzzFilter(f, paths[i], modeOf(options.JSON, options.Passthrough, i))
	}
	f.Fuzz(func(t *testing.T, data, reply []byte, bits uint8) {
		if len(data) > 4096 || len(reply) > 4000 {
			return
		}
		m := mode(bits)
		before := [2][]byte{bytes.Clone(data), bytes.Clone(reply)}
		filter := newFuzzFilter(t, paths[m.guest()], m)
		// The second time, the instance is no longer new.
		for range 2 {
			total := filter.Stats()
			out, modified := filter.Run(reply, data)
			checkRun(t, m, data, reply, out, modified, since(filter.Stats(), total))
		}
		if !bytes.Equal(data, before[0]) || !bytes.Equal(reply, before[1]) {
			t.Error("the chunk or the tag was written to")
		}
	})
}

func newFuzzFilter(tb testing.TB, path string, m mode) *Filter {
	filter, err := New(options.Options{
		WasmPath: path, FunctionName: "filter", EventFormat: m.format(), OnError: m.onError(), Split: m.split(), Timeout: time.Minute, EmitTags: emitTags,
	}, func(hostlog.Level, string) {})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(filter.Close)
	return filter
}

// since is what has been counted after before.
func since(s, before Stats) Stats {
	s.Chunks -= before.Chunks
	s.Corrupt -= before.Corrupt
	s.Records -= before.Records
	s.Returned -= before.Returned
	s.Dropped -= before.Dropped
	s.Routed -= before.Routed
	s.Added -= before.Added
	s.Failed -= before.Failed
	s.Elsewhere -= before.Elsewhere
	for i := range s.Causes {
		s.Causes[i] -= before.Causes[i]
	}
	s.GivenUp -= before.GivenUp
	s.Recycled -= before.Recycled
	s.TimedOut -= before.TimedOut
	s.NoMemory -= before.NoMemory
	return s
}

// checkRun decides about one chunk of one filter.
func checkRun(t *testing.T, m mode, data, reply, out []byte, modified bool, got Stats) {
	t.Helper()
	events, readable := readChunk(t, data)
	if !readable {
		if modified {
			t.Errorf("a chunk that can't be read was modified: % x", out)
		}
		got.GivenUp, got.NoMemory = 0, 0
		if diff := cmp.Diff(Stats{Chunks: 1, Corrupt: 1}, got); diff != "" {
			t.Error(diff)
		}
		return
	}
	if !modified {
		out = data
	}
	want := Stats{Chunks: 1}
	changes := 0
	rest := out
	expect := func(b []byte, what string) {
		if !bytes.HasPrefix(rest, b) {
			t.Fatalf("%s: want % x, got % x", what, b, rest)
		}
		rest = rest[len(b):]
	}
	verdicts := make([]verdict, len(events))
	for i, ev := range events {
		if ev.Kind == chunk.Record {
			verdicts[i] = judge(t, m, ev, reply)
		}
		if verdicts[i].unknown {
			return
		}
	}
	lost := lostMarkers(events, func(i int) bool { return m.onError() == options.Drop && verdicts[i].fate == failed })
	for i, ev := range events {
		if ev.Kind != chunk.Record {
			if lost[i] {
				changes++
			} else {
				expect(ev.Raw, "marker")
			}
			continue
		}
		want.Records++
		switch v := verdicts[i]; v.fate {
		case same:
			want.Returned++
			expect(ev.Raw, "record that the guest repeated")
		case dropped:
			want.Dropped++
			changes++
		case changed:
			changes++
			if n := len(v.msgpack) + len(v.json); n == 0 {
				want.Dropped++
			} else {
				want.Returned++
				want.Added += uint64(n - 1)
			}
			for _, body := range v.bodies() {
				expect(join([]byte{0x92}, ev.Header), "header")
				n, err := checkBody(rest, body)
				if err != nil {
					t.Fatalf("body of reply %q: %v", reply, err)
				}
				rest = rest[n:]
			}
		case failed:
			want.Failed++
			switch m.onError() {
			case options.Drop:
				changes++
			case options.Mark:
				changes++
				rest = checkMarked(t, ev, rest)
			default:
				expect(ev.Raw, "record that failed")
			}
		}
	}
	if len(rest) > 0 {
		t.Errorf("% x is left over", rest)
	}
	if modified != (changes > 0) {
		t.Errorf("modified %v with %d changes", modified, changes)
	}
	sum := uint64(0)
	for _, n := range got.Causes {
		sum += n
	}
	if sum != got.Failed {
		t.Errorf("%d failed, but the causes add up to %d", got.Failed, sum)
	}
	got.Causes, got.GivenUp, got.NoMemory = want.Causes, 0, 0
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// lostMarkers says which markers do not come out: those of groups that have records, all of which are
// dropped because they failed. An end stays where it ends what has come out before.
func lostMarkers(events []chunk.Event, failed func(i int) bool) []bool {
	lost := make([]bool, len(events))
	inside := false // a group that has come out has no end yet
	for i, ev := range events {
		if ev.Kind != chunk.GroupStart {
			inside = inside && ev.Kind != chunk.GroupEnd
			continue
		}
		end, records, all := i+1, 0, true
		for ; end < len(events) && events[end].Kind == chunk.Record; end++ {
			records++
			all = all && failed(end)
		}
		if records == 0 || !all {
			inside = true
			continue
		}
		lost[i] = true
		if end < len(events) && events[end].Kind == chunk.GroupEnd {
			lost[end] = !inside
		}
	}
	return lost
}

// readChunk reads the events, and has ugorji/go/codec read what has been read.
func readChunk(t *testing.T, data []byte) (events []chunk.Event, ok bool) {
	t.Helper()
	for rest := data; len(rest) > 0; {
		ev, next, err := chunk.Next(rest)
		if err != nil {
			return nil, false
		}
		parts, isMap, err := oracle.Elements(ev.Raw)
		if err != nil || isMap || len(parts) != 2 {
			t.Fatalf("codec can't read the event % x: %d parts, %v", ev.Raw, len(parts), err)
		}
		if !bytes.Equal(parts[0], ev.Header) || !bytes.Equal(parts[1], ev.Body) {
			t.Fatalf("codec reads % x and % x", parts[0], parts[1])
		}
		events = append(events, ev)
		rest = next
	}
	return events, true
}

type fate int

const (
	failed  fate = iota
	dropped      // by the guest
	same         // the reply repeats the record
	changed      // the reply is the body, or the bodies of several events
)

// verdict is what has to become of a record.
type verdict struct {
	fate    fate
	msgpack [][]byte // the bodies
	json    []pairs  // their values
	unknown bool     // it depends on how much the host has grown the memory
}

func judge(t *testing.T, m mode, ev chunk.Event, reply []byte) verdict {
	t.Helper()
	if !ev.BodyIsMap() {
		return verdict{fate: failed}
	}
	input := ev.Body
	if m.format() == options.JSON {
		var err error
		if input, _, err = transcode.AppendJSON(nil, ev.Body); err != nil {
			return verdict{fate: failed}
		}
		if len(input) > 1<<20 {
			return verdict{unknown: true}
		}
	}
	memory := append(bytes.Clone(reply), 0) // from where the reply begins
	switch m.guest() {
	case replyRecord:
		return verdict{fate: same}
	case replyNull:
		return verdict{fate: dropped}
	case replyOutside:
		return verdict{fate: failed}
	case replyTagOrTrap:
		if len(input)%2 == 1 {
			return verdict{fate: failed}
		}
	case replyTagOrNoRoom:
		if (len(input)+len(reply)+2)%3 != 2 {
			return verdict{fate: failed}
		}
	case replyTagFilled:
		memory = append(bytes.Clone(reply), bytes.Repeat([]byte{filler}, fillerBytes)...)
	}
	if memory[0] == 0 {
		return verdict{fate: dropped}
	}
	depth := max(31, mp.Depth(ev.Body))
	if m.format() == options.JSON {
		return judgeJSON(m, memory, input, depth)
	}
	rest, err := msgp.Skip(memory)
	if err != nil {
		// Behind the tag, pages that the host has grown hold zeroes, which are
		// valid msgpack.
		return verdict{fate: failed, unknown: m.guest() == replyTagGrown}
	}
	body := memory[:len(memory)-len(rest)]
	if bytes.Equal(body, input) {
		return verdict{fate: same}
	}
	bodies := [][]byte{body}
	if mp.KindOf(body[0]) == mp.Array && m.split() {
		elements, isMap, err := oracle.Elements(body)
		if err != nil || isMap {
			t.Fatalf("codec can't read the reply % x: %v", body, err)
		}
		bodies = nil
		for _, element := range elements {
			bodies = append(bodies, element)
		}
	}
	for _, body := range bodies {
		if mp.KindOf(body[0]) != mp.Map || mp.Depth(body) > depth {
			return verdict{fate: failed}
		}
		var raw codec.Raw
		if err := oracle.Raw(body, &raw); err != nil || !bytes.Equal(raw, body) {
			t.Fatalf("codec can't read the reply % x: %v", body, err)
		}
	}
	return verdict{fate: changed, msgpack: bodies}
}

// judgeJSON judges by the values up to a NUL.
func judgeJSON(m mode, memory, input []byte, depth int) verdict {
	text, _, _ := bytes.Cut(memory, []byte{0})
	text, _ = oracle.EscapeControls(text)
	const blanks = " \t\r\n"
	// The next value, and what follows it; not ok: there is none that is whole.
	next := func(text []byte) (v any, rest []byte, ok bool) {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		v, err := parseJSON(d)
		return v, bytes.TrimLeft(text[d.InputOffset():], blanks), err == nil
	}
	fits := func(v any) bool {
		value, isObject := v.(pairs)
		return isObject && jsonDepth(value) <= depth && numbersFit(value)
	}
	first, rest, ok := next(text)
	if !ok {
		return verdict{fate: failed}
	}
	if list, isList := first.([]any); isList {
		if !m.split() || bytes.HasPrefix(rest, []byte("{")) || bytes.HasPrefix(rest, []byte("[")) {
			return verdict{fate: failed}
		}
		v := verdict{fate: changed}
		for _, element := range list {
			if !fits(element) {
				return verdict{fate: failed}
			}
			v.json = append(v.json, element.(pairs))
		}
		return v
	}
	repeats := bytes.HasPrefix(memory, input) // and is kept as it is, if nothing follows
	if !repeats && !fits(first) {
		return verdict{fate: failed}
	}
	v := verdict{fate: changed, json: []pairs{first.(pairs)}}
	for bytes.HasPrefix(rest, []byte("{")) {
		further, after, ok := next(rest)
		switch {
		case !ok && (bracketDepth(rest) > depth || bytes.ContainsAny(rest, "eE") || longDigits.Match(rest)):
			return verdict{unknown: true} // not whole, or too much: whichever comes first
		case !ok:
			v.json = v.json[:1]
			rest = nil // no record: anything may follow
			continue
		case !fits(further):
			return verdict{fate: failed}
		}
		v.json = append(v.json, further.(pairs))
		rest = after
	}
	if len(rest) > 0 {
		v.json = v.json[:1] // anything may follow
	}
	switch {
	case len(v.json) > 1 && (!m.split() || !fits(first)):
		return verdict{fate: failed}
	case len(v.json) > 1 && repeats:
		return verdict{unknown: true} // what JSON does not hold of the record is put back
	case len(v.json) == 1 && repeats:
		return verdict{fate: same}
	}
	return v
}

// longDigits may be a number that is too large.
var longDigits = regexp.MustCompile(`[0-9]{19}`)

func bracketDepth(s []byte) (deepest int) {
	depth := 0
	for _, c := range s {
		switch c {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		deepest = max(deepest, depth)
	}
	return deepest
}

// bodies are the verdicts on each body by itself.
func (v verdict) bodies() (list []verdict) {
	for _, b := range v.msgpack {
		list = append(list, verdict{msgpack: [][]byte{b}})
	}
	for _, b := range v.json {
		list = append(list, verdict{json: []pairs{b}})
	}
	return list
}

// pairs is an object or map with its order and duplicates: keys and values in turn.
type pairs []any

func (pairs) MapBySlice() {}

// parseJSON reads the first value: validated as a whole, then token by token.
func parseJSON(d *json.Decoder) (any, error) {
	var raw json.RawMessage
	if err := d.Decode(&raw); err != nil {
		return nil, err
	}
	tokens := json.NewDecoder(bytes.NewReader(raw))
	tokens.UseNumber()
	return parseToken(tokens)
}

func parseToken(d *json.Decoder) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	if token != json.Delim('[') && token != json.Delim('{') {
		return token, nil
	}
	var list []any
	for d.More() {
		v, err := parseToken(d)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err = d.Token()
	if token == json.Delim('{') {
		return pairs(list), err
	}
	return list, err
}

func elements(v any) (list []any, container bool) {
	switch v := v.(type) {
	case pairs:
		return v, true
	case []any:
		return v, true
	}
	return nil, false
}

func jsonDepth(v any) int {
	list, container := elements(v)
	if !container {
		return 0
	}
	deepest := 0
	for _, e := range list {
		deepest = max(deepest, jsonDepth(e))
	}
	return deepest + 1
}

// numbersFit says whether all numbers are in a float64's range.
func numbersFit(v any) bool {
	if n, ok := v.(json.Number); ok {
		_, err := strconv.ParseFloat(string(n), 64)
		return err == nil
	}
	list, _ := elements(v)
	return !slices.ContainsFunc(list, func(e any) bool { return !numbersFit(e) })
}

// checkBody compares the value that b begins with to the reply, and returns how
// long it is.
func checkBody(b []byte, v verdict) (int, error) {
	if v.msgpack != nil {
		if !bytes.HasPrefix(b, v.msgpack[0]) {
			return 0, fmt.Errorf("want % x, got % x", v.msgpack[0], b)
		}
		return len(v.msgpack[0]), nil
	}
	rest, err := msgp.Skip(b)
	if err != nil {
		return 0, err
	}
	n := len(b) - len(rest)
	return n, equalJSON(b[:n], v.json[0])
}

// equalJSON compares the msgpack b with want, from JSON.
func equalJSON(b []byte, want any) error {
	list, container := elements(want)
	if container {
		raws, isMap, err := oracle.Elements(b)
		if _, wantMap := want.(pairs); isMap != wantMap {
			return fmt.Errorf("% x for %v", b, want)
		}
		if err != nil || len(raws) != len(list) {
			return fmt.Errorf("%d elements instead of %d, %v", len(raws), len(list), err)
		}
		for i, raw := range raws {
			if err := equalJSON(raw, list[i]); err != nil {
				return err
			}
		}
		return nil
	}
	var got any
	h := &codec.MsgpackHandle{WriteExt: true}
	h.RawToString = true
	if err := codec.NewDecoderBytes(b, h).Decode(&got); err != nil {
		return err
	}
	equal := false
	switch want := want.(type) {
	case json.Number:
		if integer, ok := new(big.Int).SetString(string(want), 10); ok && (integer.IsInt64() || integer.IsUint64()) {
			_, isFloat := got.(float64)
			equal = !isFloat && fmt.Sprint(got) == integer.String()
			break
		}
		f, err := strconv.ParseFloat(string(want), 64)
		g, ok := got.(float64)
		equal = err == nil && ok && math.Float64bits(f) == math.Float64bits(g)
	case string: // encoding/json has replaced what is not UTF-8
		s, ok := got.(string)
		equal = ok && string([]rune(s)) == want
	default:
		equal = got == want
	}
	if !equal {
		return fmt.Errorf("the %T %v for the %T %v", got, got, want, want)
	}
	return nil
}

// checkMarked checks that out begins with the event, marked with a cause, and
// returns what follows it.
func checkMarked(t *testing.T, ev chunk.Event, out []byte) (rest []byte) {
	t.Helper()
	if ev.Legacy && !ev.BodyIsMap() { // no place for a mark
		if !bytes.HasPrefix(out, ev.Raw) {
			t.Fatalf("want % x, got % x", ev.Raw, out)
		}
		return out[len(ev.Raw):]
	}
	rest, err := msgp.Skip(out)
	if err != nil {
		t.Fatal(err)
	}
	raw := func(b []byte) []codec.Raw {
		list, _, err := oracle.Elements(b)
		if err != nil {
			t.Fatalf("% x: %v", b, err)
		}
		return list
	}
	got := raw(out[:len(out)-len(rest)])
	if len(got) != 2 {
		t.Fatalf("%d parts", len(got))
	}
	marked, unmarked := got[1], ev.Body
	if ev.Legacy {
		if !bytes.Equal(got[0], ev.Header) {
			t.Errorf("timestamp % x, was % x", got[0], ev.Header)
		}
	} else {
		header, was := raw(got[0]), raw(ev.Header)
		if !bytes.Equal(got[1], ev.Body) || len(header) != 2 || !bytes.Equal(header[0], was[0]) {
			t.Errorf("marked event % x", out)
		}
		marked, unmarked = header[1], was[1]
	}
	pairs, before := raw(marked), raw(unmarked)
	if len(pairs) != len(before)+2 {
		t.Fatalf("%d elements, were %d", len(pairs), len(before))
	}
	if diff := cmp.Diff(before, pairs[:len(before)]); diff != "" {
		t.Error(diff)
	}
	var key, reason string
	for i, to := range []*string{&key, &reason} {
		if err := oracle.Raw(pairs[len(before)+i], to); err != nil {
			t.Fatal(err)
		}
	}
	if key != MarkKey || reason == "" {
		t.Errorf("marked %q: %q", key, reason)
	}
	return rest
}
