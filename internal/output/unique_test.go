package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/mp"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/transcode"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// twice returns a name that an object of the text has twice, by another reader.
func twice(t testing.TB, text []byte) (string, bool) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	type object struct {
		names map[string]bool // nil: an array
		value bool            // a member's value comes next
	}
	var open []object
	for {
		token, err := d.Token()
		if err == io.EOF {
			return "", false
		}
		if err != nil {
			t.Fatalf("%v: %q", err, text)
		}
		top := len(open) - 1
		if name, ok := token.(string); ok && top >= 0 && open[top].names != nil && !open[top].value {
			if open[top].names[name] {
				return name, true
			}
			open[top].names[name], open[top].value = true, true
			continue
		}
		switch token {
		case json.Delim('{'):
			open = append(open, object{names: map[string]bool{}})
			continue
		case json.Delim('['):
			open = append(open, object{})
			continue
		case json.Delim('}'), json.Delim(']'):
			open = open[:top]
		}
		if top = len(open) - 1; top >= 0 {
			open[top].value = false
		}
	}
}

// checkClean compares what is left of a text with what encoding/json makes of the
// whole, for which the last of several members counts, too.
func checkClean(t testing.TB, u *uniqueKeys, text []byte) []byte {
	t.Helper()
	var want, got any
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatalf("%v: %q", err, text)
	}
	cleaned := u.clean(bytes.Clone(text))
	if err := json.Unmarshal(cleaned, &got); err != nil {
		t.Fatalf("%v: %q of %q", err, cleaned, text)
	}
	if !reflect.DeepEqual(want, got) {
		t.Errorf("%.1000q became %.1000q", text, cleaned)
	}
	if name, ok := twice(t, cleaned); ok {
		t.Errorf("%q is there twice: %q", name, cleaned)
	}
	return cleaned
}

func TestUniqueKeys(t *testing.T) {
	var u uniqueKeys
	for text, want := range map[string]string{
		`{}`:                            `{}`,
		`{"a":1}`:                       `{"a":1}`,
		`{"a":1,"a":2}`:                 `{"a":2}`,
		`{"a":1,"b":2,"a":3}`:           `{"b":2,"a":3}`,
		`{"a":1,"a":2,"a":3,"b":"a"}`:   `{"a":3,"b":"a"}`,
		`{"a":{"a":1,"b":{"a":2}}}`:     `{"a":{"a":1,"b":{"a":2}}}`,
		`{"a":{"b":1,"b":2},"a":["a"]}`: `{"a":["a"]}`,
		`{"x":[{"a":1,"a":2},{"a":3}],"y":{"a":4}}`:                     `{"x":[{"a":2},{"a":3}],"y":{"a":4}}`,
		`{"a":"\",\"a\":{","a":"x\\"}`:                                  `{"a":"x\\"}`,
		`{"\\":1,"\\\"":2,"\\":3,"":4,"":"5"}`:                          `{"\\\"":2,"\\":3,"":"5"}`,
		`{"k":{"a":1,"a":2},"l":[],"k":{"b":[{"c":{},"c":[]}]}}` + "\n": `{"l":[],"k":{"b":[{"c":[]}]}}` + "\n",
	} {
		if got := string(checkClean(t, &u, []byte(text))); got != want {
			t.Errorf("%s became %s, want %s", text, got, want)
		}
	}
}

// What a record or its metadata repeats is written once, and what the line adds gives
// way to the record's own; whatever the form of the names.
func TestLinesHaveUniqueKeys(t *testing.T) {
	pairs := func(kv ...[]byte) []byte {
		return append(mp.AppendMapHeader(nil, len(kv)/2), bytes.Join(kv, nil)...)
	}
	s := func(v string) []byte { return mp.AppendString(nil, v) }
	n := func(v uint64) []byte { return mp.AppendUint(nil, v) }
	bin := func(v string) []byte { return append([]byte{0xc4, byte(len(v))}, v...) }
	record := func(metadata, body []byte) []byte {
		ev := []byte{0x92, 0x92}
		ev = mp.AppendTimestampExt(ev, 1700000000, 7)
		return append(append(ev, metadata...), body...)
	}
	for _, test := range []struct {
		name, dateKey  string
		metadata, body []byte
		want           string
	}{
		{"date", "date", pairs(), pairs(s("date"), s("mine"), s("m"), n(1)), `{"date":"mine","m":1}`},
		{"metadata", "date", pairs(s("q"), n(1), s("q"), n(2)), pairs(s("_metadata"), n(3)),
			`{"date":1700000000.000000007,"_metadata":3}`},
		{"in metadata", "date", pairs(s("q"), n(1), s("q"), n(2)), pairs(s("a"), n(3)),
			`{"date":1700000000.000000007,"_metadata":{"q":2},"a":3}`},
		{"date key _metadata", "_metadata", pairs(s("q"), n(1)), pairs(), `{"_metadata":{"q":1}}`},
		{"no map", "body", pairs(), n(5), `{"body":5}`},
		{"kinds of names", "date", pairs(), pairs(s("1"), n(1), n(1), n(2), bin("1"), n(3), bin("date"), n(4)),
			`{"1":3,"date":4}`},
		{"invalid UTF-8", "off", pairs(), pairs(s("\xff"), n(1), s("\xfe"), n(2), s("\uFFFD"), n(3)), `{"` + "\uFFFD" + `":3}`},
		{"half pairs", "off", pairs(), pairs(s("\xed\xa0\xbd\xed\xb8\x80"), n(1), s("\U0001F600"), n(2)), `{"` + "\U0001F600" + `":2}`},
		{"escaped", "q\"\t\\", pairs(), pairs(s("q\"\t\\"), n(1), s("a\\"), n(2), s("a\\"), n(3)), `{"q\"\t\\":1,"a\\":3}`},
		{"nested", "off", pairs(), pairs(s("a"), pairs(s("date"), n(1), s("date"), pairs(s("x"), n(1), s("x"), n(2)))), `{"a":{"date":{"x":2}}}`},
		{"map as name", "off", pairs(), pairs(pairs(s("k"), n(1)), n(1), s(`{"k":1}`), n(2)), `{"{\"k\":1}":2}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			o := open(t, &guest{}, map[string]string{"emit_to": "file://" + path, "emit_date_key": test.dateKey})
			other := oracle.Pack(oracle.Legacy(1700000000, map[string]any{"date": "d"}))
			want(t, o.Flush("app", append(record(test.metadata, test.body), other...), false), OK)
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.SplitAfter(string(got), "\n")
			if len(lines) != 3 || lines[0] != test.want+"\n" || !strings.Contains(lines[1], `"date":"d"`) {
				t.Errorf("%q, want %s", lines, test.want)
			}
			for _, line := range lines {
				if name, ok := twice(t, []byte(line)); ok {
					t.Errorf("%q is there twice: %s", name, line)
				}
			}
		})
	}
}

// Many keys, equal and not, cost time in proportion: a chunk like this one would
// keep a pairwise comparison busy for minutes.
func TestManyKeys(t *testing.T) {
	const keys = 100_000
	different, equal, objects := []byte(`{"k":0`), []byte(`{"k":0`), []byte(`[{"k":0}`)
	for n := range keys {
		different = fmt.Appendf(different, `,"%d":{"k":1}`, n)
		equal = fmt.Appendf(equal, `,"k":{"k":%d}`, n)
		objects = append(objects, `,{"k":1,"k":2}`...)
	}
	var u uniqueKeys
	ends(t, "large records", func() {
		if got := checkClean(t, &u, append(different, '}')); len(got) != len(different)+1 {
			t.Errorf("%d bytes are left of %d", len(got), len(different)+1)
		}
		if got, want := string(checkClean(t, &u, append(equal, '}'))), fmt.Sprintf(`{"k":{"k":%d}}`, keys-1); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if got, want := len(checkClean(t, &u, append(objects, ']'))), len(`[{"k":0}]`)+keys*len(`,{"k":2}`); got != want {
			t.Errorf("%d bytes are left, want %d", got, want)
		}
	})
	checkClean(t, &u, []byte(`{"a":1,"a":2}`))
}

func FuzzUniqueKeys(f *testing.F) {
	for _, v := range []any{map[string]any{"a": 1, "b": map[string]any{"a": []any{1, "a"}}}, "x", []any{map[string]any{}}} {
		f.Add(oracle.Pack(v))
	}
	f.Add([]byte("\x84\xa1a\x01\xa1b\x82\xa1a\x02\xa1a\x03\xa1a\x82\xa1\\\x01\xa1\\\x02\xa1a\x91\xa1a"))
	var u uniqueKeys
	f.Fuzz(func(t *testing.T, value []byte) {
		text, _, err := transcode.AppendJSON(nil, value)
		if err != nil || !mayDecode(text) {
			return
		}
		checkClean(t, &u, text)
	})
}

// mayDecode leaves out what encoding/json can't hold.
func mayDecode(text []byte) bool {
	var v any
	return json.Unmarshal(text, &v) == nil
}

func BenchmarkLines(b *testing.B) {
	body := map[string]any{}
	for n := range 20 {
		body[fmt.Sprint("a key ", n)] = fmt.Sprint("a value of a record, the one with number ", n)
	}
	events := bytes.Repeat(oracle.Pack(oracle.Current(oracle.Timestamp(1700000000, 7), map[string]any{}, body)), 75)
	l := lines{}
	l.options.DateKey = "date"
	b.SetBytes(int64(len(events)))
	b.ReportAllocs()
	for b.Loop() {
		p := &parcel{groups: []*group{{events: events}}}
		if err := l.pack(p); err != nil {
			b.Fatal(err)
		}
	}
}
