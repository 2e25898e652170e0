package trial

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/chunk"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
)

// The notation of each value, which is JSON and reads as the same value.
func TestNotation(t *testing.T) {
	for _, tt := range []struct {
		value Value
		want  string
	}{
		{nil, `null`},
		{true, `true`},
		{int64(-5), `-5`},
		{int64(418), `418`},
		{float64(418), `418.0`},
		{math.Copysign(0, -1), `-0.0`},
		{uint64(math.MaxUint64), `18446744073709551615`},
		{math.Inf(-1), `{"$float":"-Inf"}`},
		{"é\"\n", `"é\"\n"`},
		{"\u202e\u0085\x7f\U000e0041", `"\u202e\u0085\u007f\udb40\udc41"`},
		{"\xff", `{"$str":"/w=="}`},
		{Bin("\x00\x01"), `{"$bin":"AAE="}`},
		{Ext{-1, []byte("a")}, `{"$ext":[-1,"YQ=="]}`},
		{List{int64(1), List{}}, `[1,[]]`},
		{Map{{"b", int64(1)}, {"a", Map{}}}, `{"b":1,"a":{}}`},
		{Map{{int64(1), "x"}}, `{"$map":[[1,"x"]]}`},
		{Map{{"a", int64(1)}, {"a", int64(2)}}, `{"$map":[["a",1],["a",2]]}`},
		{Map{{"$bin", "x"}}, `{"$map":[["$bin","x"]]}`},
		{Map{{"$bin", "x"}, {"b", nil}}, `{"$bin":"x","b":null}`},
		{Map{{"$map", List{}}}, `{"$map":[["$map",[]]]}`},
	} {
		got := Notation(tt.value)
		if got != tt.want || !json.Valid([]byte(got)) {
			t.Errorf("%#v: %s, want %s", tt.value, got, tt.want)
		}
		back, err := ParseValue([]byte(got))
		if err != nil || !Equal(back, tt.value) {
			t.Errorf("%s reads as %#v, %v", got, back, err)
		}
		again, rest, err := Decode(Append(nil, tt.value))
		if err != nil || len(rest) > 0 || !Equal(again, tt.value) {
			t.Errorf("%s: as MessagePack %#v, %v", got, again, err)
		}
	}
	for _, text := range []string{``, `{"a":1} x`, `{"$bin":1}`, `{"$bin":"%"}`, `{"$ext":[128,""]}`, `{"$ext":[1]}`, `{"$float":"x"}`, `{"$map":[1]}`, `{"a":{"$map":{}}}`, `{`} {
		if v, err := ParseValue([]byte(text)); err == nil {
			t.Errorf("%s is read as %#v", text, v)
		}
	}
}

// No two of these are equal, and each is equal to itself and to its form of other widths.
func TestEqual(t *testing.T) {
	values := []Value{nil, false, int64(0), 0.0, math.Copysign(0, -1), uint64(1 << 63), float64(1 << 63), "", "0", Bin(""), Bin("0"),
		Ext{0, nil}, Ext{1, nil}, Ext{0, []byte("0")}, List{}, List{nil}, Map{}, Map{{"a", int64(1)}}, Map{{"a", 1.0}},
		Map{{"a", int64(1)}, {"b", nil}}, Map{{"a", int64(1)}, {"a", int64(2)}}, Map{{"a", int64(2)}, {"a", int64(1)}}, Map{{Bin("a"), int64(1)}}}
	for i, a := range values {
		for j, b := range values {
			if Equal(a, b) != (i == j) {
				t.Errorf("%s and %s: %v", Notation(a), Notation(b), i != j)
			}
			if got := len(Diff(a, b)) == 0; got != (i == j) {
				t.Errorf("%s and %s: Diff %v", Notation(a), Notation(b), Diff(a, b))
			}
		}
	}
	if !Equal(Map{{"a", int64(1)}, {"b", nil}}, Map{{"b", nil}, {"a", int64(1)}}) {
		t.Error("the order of members counts")
	}
	wide, _, _ := Decode([]byte{0xd3, 0, 0, 0, 0, 0, 0, 0, 5})
	if !Equal(wide, int64(5)) || !Equal(math.NaN(), math.NaN()) {
		t.Error("the width of a number counts")
	}
}

func TestDiff(t *testing.T) {
	for _, tt := range []struct{ was, is, want string }{
		{`{"a":1}`, `{"a":1}`, ``},
		{`{"a":1}`, `{"a":1.0}`, `$a: 1 > 1.0`},
		{`{"a":{"b c":[1,2]},"x":1}`, `{"a":{"b c":[1,3]},"y":1}`, `$a['b c'][1]: 2 > 3; $x: 1 > -; $y: - > 1`},
		{`{"a":[1,2,3,4]}`, `{"a":[1,3,4]}`, `$a[1]: 2 > -`},
		{`{"a":[1,2]}`, `{"a":[1,9,2]}`, `$a[1]: - > 9`},
		{`{"a":[]}`, `{"a":{}}`, `$a: [] > {}`},
		{`{"it's":1}`, `{}`, `$['it\'s']: 1 > -`},
		{`{"":1}`, `{}`, `$['']: 1 > -`},
		{`{"a":{"$bin":"AA=="}}`, `{"a":{"$str":"gA=="}}`, `$a: {"$bin":"AA=="} > {"$str":"gA=="}`},
		{`1`, `2`, `$: 1 > 2`},
	} {
		was, err := ParseValue([]byte(tt.was))
		is, err2 := ParseValue([]byte(tt.is))
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		var list []string
		for _, c := range Diff(was, is) {
			from, to := Notation(c.Was), Notation(c.Is)
			if c.Added {
				from = "-"
			}
			if c.Removed {
				to = "-"
			}
			list = append(list, c.Path+": "+from+" > "+to)
		}
		if got := strings.Join(list, "; "); got != tt.want {
			t.Errorf("%s, %s: %s, want %s", tt.was, tt.is, got, tt.want)
		}
	}
}

func TestItems(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const at = "2023-11-14T22:13:20.123456789Z"
	for _, tt := range []struct {
		line, want string // as it is written again
		chunk      []byte
	}{
		{` {"a": 1}`, `{"a":1}`, chunk.AppendRecord(nil, now.Unix(), 0, nil, []byte{0x81, 0xa1, 'a', 1})},
		{`[[null,{}],{}]`, `{}`, chunk.AppendRecord(nil, now.Unix(), 0, nil, []byte{0x80})},
		{`[["2026-01-01T01:00:00+01:00",null],{}]`, `{}`, chunk.AppendRecord(nil, now.Unix(), 0, nil, []byte{0x80})},
		{`[[1700000000.123456789,{}],{}]`, `[["` + at + `",{}],{}]`, chunk.AppendRecord(nil, 1700000000, 123456789, nil, []byte{0x80})},
		{`[["` + at + `",{"m":true}],{}]`, `[["` + at + `",{"m":true}],{}]`, chunk.AppendRecord(nil, 1700000000, 123456789, []byte{0x81, 0xa1, 'm', 0xc3}, []byte{0x80})},
		{`[["group",{"g":1}],{"r":2}]`, `[["group",{"g":1}],{"r":2}]`, chunk.AppendRecord(nil, -1, 0, []byte{0x81, 0xa1, 'g', 1}, []byte{0x81, 0xa1, 'r', 2})},
		{`["end"]`, `["end"]`, chunk.AppendRecord(nil, -2, 0, nil, []byte{0x80})},
		{`[[null,{}],7]`, `[["2026-01-01T00:00:00Z",{}],7]`, chunk.AppendRecord(nil, now.Unix(), 0, nil, []byte{7})},
	} {
		item, err := ParseItem([]byte(tt.line))
		if err != nil {
			t.Errorf("%s: %v", tt.line, err)
			continue
		}
		data := item.Append(nil, now)
		if !bytes.Equal(data, tt.chunk) {
			t.Errorf("%s: % x, want % x", tt.line, data, tt.chunk)
		}
		items, err := Items(data)
		if err != nil || len(items) != 1 {
			t.Fatal(items, err)
		}
		if got := string(items[0].AppendLine(nil, now)); got != tt.want {
			t.Errorf("%s: written as %s, want %s", tt.line, got, tt.want)
		}
	}
	if item, err := ParseItem([]byte(`["tag", "a.b"]`)); err != nil || item.Kind != Tag || item.Tag != "a.b" || item.Append(nil, now) != nil {
		t.Error(item, err)
	}
	for _, line := range []string{`1`, `[]`, `["tag"]`, `["tag",""]`, `["end",1]`, `["ends"]`, `[[1],{}]`, `[[1,{}]]`, `[[1,{}],{},1]`, `[[1,[]],{}]`, `[[-1,{}],{}]`,
		`[[4294967294,{}],{}]`, `[[1.0000000001,{}],{}]`, `[[1e3,{}],{}]`, `[["now",{}],{}]`, `[["1969-12-31T00:00:00Z",{}],{}]`, `[[{},{}],{}]`, `{"a":1}{}`} {
		if item, err := ParseItem([]byte(line)); err == nil {
			t.Errorf("%s is read as %+v", line, item)
		}
	}
	if _, err := Items([]byte{0x92}); err == nil {
		t.Error("half an event is read")
	}
}

// Any event is written as JSON, from which the same event is read.
func FuzzNotation(f *testing.F) {
	f.Add(chunk.AppendRecord(nil, 1, 2, nil, Append(nil, Map{{"a", List{1.5, Bin("x"), Ext{5, []byte("y")}, "\xff"}}, {int64(1), nil}})))
	f.Add(chunk.AppendRecord(nil, -1, 0, nil, Append(nil, Map{{"$map", List{}}})))
	f.Fuzz(func(t *testing.T, data []byte) {
		items, _ := Items(data)
		for _, item := range items {
			if item.Kind == Event && !inRange(*item.Time) {
				continue
			}
			line := item.AppendLine(nil, time.Time{})
			if !json.Valid(line) || bytes.ContainsAny(line, "\n\x7f") {
				t.Fatalf("%q is no line of JSON", line)
			}
			back, err := ParseItem(line)
			if err != nil {
				if mp.Depth(Append(nil, item.Body)) > chunk.MaxDepth/3 { // an object that stands for a value is deeper
					continue
				}
				t.Fatalf("%s: %v", line, err)
			}
			if !Equal(back.Body, item.Body) || item.Kind != GroupEnd && !Equal(back.metadata(), item.metadata()) || back.Kind != item.Kind {
				t.Fatalf("%s: %s", line, cmp.Diff(item, back))
			}
			if len(Diff(item.Body, back.Body)) > 0 {
				t.Fatalf("%s: equal values differ", line)
			}
		}
	})
}
