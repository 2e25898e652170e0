package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func newMetrics(tb testing.TB, series int) *State {
	s := New(0, series)
	tb.Cleanup(s.Close)
	return s
}

func (s *State) mustDefine(tb testing.TB, d definition) uint32 {
	tb.Helper()
	id, err := s.define(d)
	if err != nil {
		tb.Fatalf("%+v: %v", d, err)
	}
	return id
}

// labels are values as guests say them.
func labels(values ...string) (b []byte) {
	for _, v := range values {
		b = append(binary.LittleEndian.AppendUint32(b, uint32(len(v))), v...)
	}
	return b
}

func TestMetrics(t *testing.T) {
	s := newMetrics(t, 10)
	plain := s.mustDefine(t, definition{kind: Counter, name: "seen_total", help: "What was seen"})
	gauge := s.mustDefine(t, definition{kind: Gauge, name: "level", labels: "a,b"})
	histogram := s.mustDefine(t, definition{kind: Histogram, name: "size", labels: "a", buckets: []float64{-1, 0.5, 10}})
	for _, c := range []struct {
		verb   int
		id     uint32
		value  float64
		labels []byte
		want   int
	}{
		{add, plain, 1<<32 - 1, nil, counted},
		{add, plain, 1, nil, counted},
		{add, plain, 0.25, nil, counted},
		{add, plain, -1, nil, notCounted},
		{add, plain, math.NaN(), nil, notCounted},
		{add, plain, math.Inf(1), nil, notCounted},
		{add, plain, 1, labels(""), badLabels},
		{set, plain, 1, nil, wrongKind},
		{observe, plain, 1, nil, wrongKind},
		{set, gauge, 5, labels("x", ""), counted},
		{add, gauge, -7.5, labels("x", ""), counted},
		{set, gauge, math.Inf(-1), labels("", "x"), counted},
		{add, gauge, math.NaN(), labels("new", "new"), notCounted},
		{set, gauge, 1, labels("x"), badLabels},
		{set, gauge, 1, labels("x", "y", "z"), badLabels},
		{set, gauge, 1, append(labels("x"), 2, 0, 0, 0, 'y'), badLabels},
		{set, gauge, 1, append(labels("x"), 0xff, 0xff, 0xff, 0xff, 'y'), badLabels},
		{set, gauge, 1, append(labels("x"), 0, 0, 0), badLabels},
		{observe, gauge, 1, labels("x", ""), wrongKind},
		{observe, histogram, -1, labels("x"), counted},
		{observe, histogram, 0.5, labels("x"), counted},
		{observe, histogram, 0, labels("x"), counted},
		{observe, histogram, 10.5, labels("x"), counted},
		{observe, histogram, math.NaN(), labels("x"), notCounted},
		{add, histogram, 1, labels("x"), wrongKind},
		{add, 3, 1, nil, noMetric},
		{add, math.MaxUint32, 1, nil, notCounted}, // of a definition for which there was no room
	} {
		if got := s.count(c.verb, c.id, c.value, c.labels); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
	want := []Metric{
		{Name: "seen_total", Kind: Counter, Help: "What was seen", Series: []Series{{Value: 1<<32 + 0.25}}},
		{Name: "level", Kind: Gauge, Labels: []string{"a", "b"}, Series: []Series{
			{Values: []string{"x", ""}, Value: -2.5},
			{Values: []string{"", "x"}, Value: math.Inf(-1)},
		}},
		{Name: "size", Kind: Histogram, Labels: []string{"a"}, Buckets: []float64{-1, 0.5, 10}, Series: []Series{
			{Values: []string{"x"}, Value: 10, Counts: []uint64{1, 2, 0, 1}},
		}},
	}
	if diff := cmp.Diff(want, s.Metrics()); diff != "" {
		t.Error(diff)
	}
	if got, want := s.MetricsStats(), (MetricsStats{Metrics: 3, Series: 4, NoRoom: 1, BadValue: 5}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// What is defined alike is one metric; what is not is refused, and so are names that Prometheus
// does not take.
func TestDefine(t *testing.T) {
	s := newMetrics(t, 100)
	counter := s.mustDefine(t, definition{kind: Counter, name: "a:b_1", help: "x", labels: "l,_m1"})
	histogram := s.mustDefine(t, definition{kind: Histogram, name: "h", buckets: []float64{1, 2}})
	s.mustDefine(t, definition{kind: Gauge, name: "g_sum"})
	s.mustDefine(t, definition{kind: Gauge, name: strings.Repeat("n", 200), labels: strings.Repeat("l", 200), help: strings.Repeat("ä", 512)})
	for i := range 2 {
		if id := s.mustDefine(t, definition{kind: Counter, name: "a:b_1", help: fmt.Sprint(i), labels: "l,_m1"}); id != counter {
			t.Errorf("%d, want %d", id, counter)
		}
		if id := s.mustDefine(t, definition{kind: Histogram, name: "h", buckets: []float64{1, 2}}); id != histogram {
			t.Errorf("%d, want %d", id, histogram)
		}
	}
	for _, test := range []struct {
		d    definition
		want string
	}{
		{definition{kind: Gauge, name: "a:b_1", labels: "l,_m1"}, "a:b_1 is defined already"},
		{definition{kind: Counter, name: "a:b_1", labels: "l"}, "defined already"},
		{definition{kind: Counter, name: "a:b_1", labels: "_m1,l"}, "defined already"},
		{definition{kind: Histogram, name: "h", buckets: []float64{1, 3}}, "defined already"},
		{definition{kind: Histogram, name: "h", buckets: []float64{1}}, "defined already"},
		{definition{kind: Counter, name: "h_count"}, "h_count has the name of a part of the histogram h"},
		{definition{kind: Histogram, name: "g", buckets: []float64{1}}, "g has the name of a part of the histogram g"},
		{definition{kind: 0, name: "x"}, "there is no kind 0"},
		{definition{kind: 4, name: "x"}, "there is no kind 4"},
		{definition{kind: Counter, name: ""}, "the name is not"},
		{definition{kind: Counter, name: "1a"}, "the name is not"},
		{definition{kind: Counter, name: "a-b"}, "the name is not"},
		{definition{kind: Counter, name: "ä"}, "the name is not"},
		{definition{kind: Counter, name: "a\x00"}, "the name is not"},
		{definition{kind: Counter, name: strings.Repeat("n", 201)}, "the name is not"},
		{definition{kind: Counter, name: "x", labels: "a:b"}, "label 1 is not a name"},
		{definition{kind: Counter, name: "x", labels: "a,"}, "label 2 is not a name"},
		{definition{kind: Counter, name: "x", labels: ","}, "label 1 is not a name"},
		{definition{kind: Counter, name: "x", labels: "a, b"}, "label 2 is not a name"},
		{definition{kind: Counter, name: "x", labels: "__a"}, "label 1 is not a name"},
		{definition{kind: Counter, name: "x", labels: "a,b,a"}, "label a is there twice"},
		{definition{kind: Counter, name: "x", labels: strings.Repeat("a,", 16) + "a"}, "is there twice"},
		{definition{kind: Counter, name: "x", labels: "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q"}, "more than 16 labels"},
		{definition{kind: Histogram, name: "x", labels: "le", buckets: []float64{1}}, "a histogram has a label le"},
		{definition{kind: Histogram, name: "x"}, "1 to 64 buckets, and here are 0"},
		{definition{kind: Histogram, name: "x", buckets: make([]float64, 65)}, "here are 65"},
		{definition{kind: Histogram, name: "x", buckets: []float64{1, 1}}, "each above the last one"},
		{definition{kind: Histogram, name: "x", buckets: []float64{math.NaN()}}, "must be finite"},
		{definition{kind: Histogram, name: "x", buckets: []float64{1, math.Inf(1)}}, "must be finite"},
		{definition{kind: Counter, name: "x", buckets: []float64{1}}, "only a histogram has buckets"},
		{definition{kind: Counter, name: "x", help: "\xff"}, "the help is not UTF-8"},
		{definition{kind: Counter, name: "x", help: strings.Repeat("x", 1025)}, "the help is not UTF-8 of up to 1024 bytes"},
	} {
		if _, err := s.define(test.d); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v, want %q", test.d, err, test.want)
		}
	}
	if n := s.MetricsStats().Metrics; n != 4 {
		t.Errorf("%d metrics", n)
	}
}

// Series beyond the most are counted, not made; those that are there go on.
func TestSeriesLimit(t *testing.T) {
	s := newMetrics(t, 3)
	id := s.mustDefine(t, definition{kind: Counter, name: "a", labels: "l"})
	for round := range 2 {
		for i := range 5 {
			want := counted
			if i >= 3 {
				want = notCounted
			}
			if got := s.count(add, id, 1, labels(fmt.Sprint(i))); got != want {
				t.Errorf("%d, %d: %d, want %d", round, i, got, want)
			}
		}
	}
	// A metric without labels is a series; a labelled one costs nothing yet.
	if _, err := s.define(definition{kind: Counter, name: "b"}); !errors.Is(err, errNoRoom) {
		t.Error(err)
	}
	s.mustDefine(t, definition{kind: Counter, name: "c", labels: "l"})
	if got, want := s.MetricsStats(), (MetricsStats{Metrics: 2, Series: 3, NoRoom: 5}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	many := newMetrics(t, 1000)
	for i := range 256 {
		many.mustDefine(t, definition{kind: Counter, name: fmt.Sprint("n", i)})
	}
	if _, err := many.define(definition{kind: Counter, name: "more"}); !errors.Is(err, errNoRoom) {
		t.Error(err)
	}
}

// shown is what a value becomes that is not UTF-8, or too long: what Go makes of it, rune by rune.
func shown(value string) string {
	var b []byte
	for _, r := range value {
		if len(b)+utf8.RuneLen(r) > 256 {
			break
		}
		b = utf8.AppendRune(b, r)
	}
	return string(b)
}

// FuzzLabels: values of labels are text of allowed length, whatever the guest says, and different
// ones that look alike are one series.
func FuzzLabels(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00a\x02\x00\x00\x00\xc3\xa4"))
	f.Add(labels("\xff\xed\xa0\x80\xc0\x80\xf4\x90\x80\x80", "\xe2\x82"))
	f.Add(labels(strings.Repeat("x", 255)+"ä", strings.Repeat("\xff", 300)))
	f.Add(labels("12345678\xc3", "1234567\xc3\xa4"))
	f.Add(labels(strings.Repeat("x", 300), "\xff"+strings.Repeat("y", 253))) // 256 bytes each
	f.Fuzz(func(t *testing.T, b []byte) {
		s := newMetrics(t, 2)
		id := s.mustDefine(t, definition{kind: Counter, name: "a", labels: "x,y"})
		var values []string
		rest := b
		for len(rest) >= 4 && len(values) < 3 {
			n := binary.LittleEndian.Uint32(rest)
			if uint64(n) > uint64(len(rest)-4) {
				break
			}
			values, rest = append(values, string(rest[4:4+n])), rest[4+n:]
		}
		got := s.count(add, id, 1, b)
		if len(values) != 2 || len(rest) > 0 {
			if got != badLabels {
				t.Fatalf("%d for %q and %d bytes", got, values, len(rest))
			}
			return
		}
		want := []string{shown(values[0]), shown(values[1])}
		if again := s.count(add, id, 1, labels(want...)); got != counted || again != counted {
			t.Fatalf("%d, %d", got, again)
		}
		m := s.Metrics()[0]
		if len(m.Series) != 1 || m.Series[0].Value != 2 || !cmp.Equal(want, m.Series[0].Values) {
			t.Fatalf("%q: %+v, want %q", values, m.Series, want)
		}
	})
}

// All that threads count arrives, and each series is one.
func TestMetricsTogether(t *testing.T) {
	const threads, rounds, values = 8, 3000, 1500
	s := newMetrics(t, 2*values+1)
	var wg sync.WaitGroup
	for range threads {
		wg.Go(func() {
			for i := range rounds {
				plain := s.mustDefine(t, definition{kind: Counter, name: "plain"})
				labelled := s.mustDefine(t, definition{kind: Counter, name: "labelled", labels: "l"})
				sizes := s.mustDefine(t, definition{kind: Histogram, name: "sizes", labels: "l", buckets: []float64{1, 50}})
				l := labels(fmt.Sprint(i % values))
				if s.count(add, plain, 1, nil)+s.count(add, labelled, 1.5, l)+s.count(observe, sizes, float64(i%values), l) != 3*counted {
					t.Error("not counted")
				}
				if i%100 == 0 {
					s.Metrics()
				}
			}
		})
	}
	wg.Wait()
	m := s.Metrics()
	if len(m) != 3 || m[0].Series[0].Value != threads*rounds || len(m[1].Series) != values || len(m[2].Series) != values {
		t.Fatalf("%+v", m)
	}
	for i, series := range m[1].Series {
		if series.Value != 1.5*threads*rounds/values {
			t.Errorf("%+v", series)
		}
		if h := m[2].Series[i]; h.Count() != threads*rounds/values {
			t.Errorf("%+v", h)
		}
	}
}

// What a later version has defined is no mistake of the one before it, which has come back; the other way round it is.
func TestMetricsOfVersions(t *testing.T) {
	s := newMetrics(t, 100)
	for _, d := range []definition{
		{kind: Counter, name: "first", version: 1},
		{kind: Gauge, name: "both", version: 2},
		{kind: Histogram, name: "took", buckets: []float64{1}, version: 2},
	} {
		s.mustDefine(t, d)
	}
	for _, test := range []struct {
		definition
		want string
	}{
		{definition{kind: Counter, name: "both", version: 1}, errNoRoom.Error()},
		{definition{kind: Gauge, name: "both", labels: "l", version: 1}, errNoRoom.Error()},
		{definition{kind: Counter, name: "took_sum", version: 1}, errNoRoom.Error()},
		{definition{kind: Gauge, name: "both", version: 1}, ""},
		{definition{kind: Counter, name: "both", version: 2}, "defined already"},
		{definition{kind: Counter, name: "both", version: 3}, "defined already"},
		{definition{kind: Counter, name: "took_sum", version: 2}, "the name of a part"},
		{definition{kind: Gauge, name: "first", version: 2}, "defined already"},
	} {
		_, err := s.define(test.definition)
		if said := fmt.Sprint(err); err == nil && test.want != "" || err != nil && (test.want == "" || !strings.Contains(said, test.want)) {
			t.Errorf("%+v: %v, want %q", test.definition, err, test.want)
		}
	}
	if got := s.MetricsStats(); got.Metrics != 3 || got.NoRoom != 3 {
		t.Errorf("%+v", got)
	}
}
