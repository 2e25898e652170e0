package flb_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	flb "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go/flbtest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go/tick"
)

// run runs a filter on bodies, none of which may fail.
func run(t *testing.T, filter func(*flb.Event), bodies ...string) []string {
	t.Helper()
	var records []flbtest.Record
	for _, body := range bodies {
		records = append(records, flbtest.Record{Body: body})
	}
	out := new(flbtest.Host).Run(func(e *flb.Event) error { filter(e); return nil }, records...)
	if out.Failures != nil {
		t.Fatal(out.Failures)
	}
	return out.Bodies()
}

func equal[T any](t *testing.T, got, want T) {
	t.Helper()
	if g, w := fmt.Sprintf("%#v", got), fmt.Sprintf("%#v", want); g != w {
		t.Errorf("got  %s\nwant %s", g, w)
	}
}

func TestEdits(t *testing.T) {
	for _, c := range []struct {
		body, want string
		filter     func(b *flb.Part)
	}{
		{`{"a":1,"b":{"c":2}}`, `{"a":1,"b":{"c":2}}`, func(*flb.Part) {}},
		{`{"a":1,"b":2}`, `{"a":"x","b":2,"c":[true,null]}`, func(b *flb.Part) {
			b.Set("c", []any{true, nil})
			b.Set("a", 1)
			b.Set("a", "x")
		}},
		{`{"a":1,"b":2}`, `{"b":2,"c":3,"d":4,"e":5}`, func(b *flb.Part) {
			b.Add("d", 4)
			b.Add("e", 5)
			b.Remove("a")
			b.Remove("not there")
			b.Set("c", 3)
		}},
		// Later edits of a key count, whatever order a host takes them in.
		{`{"a":1}`, `{}`, func(b *flb.Part) { b.Set("a", 2); b.Remove("a") }},
		{`{"b":1}`, `{"b":1,"a":4}`, func(b *flb.Part) { b.Add("a", 2); b.Add("a", 3); b.Set("a", 4) }},
		{`{"b":1}`, `{"b":1}`, func(b *flb.Part) { b.Add("a", 2); b.Remove("a") }},
		{`{"a":1,"b":2}`, `{"b":2,"a":3}`, func(b *flb.Part) { b.Remove("a"); b.Set("a", 3) }},
		{`{"a":{"b":[1,{"c":2}]},"z":0}`, `{"a":{"b":["one",{"c":{}}]},"z":9}`, func(b *flb.Part) {
			if !b.Put("z", 9) || !b.PutValue(b.At("a", "b", 1, "c"), flb.NewMap()) || !b.Put("a.b.0", "one") || b.Put("a.x", 1) {
				panic("put")
			}
		}},
		// What holds an earlier place takes its place.
		{`{"a":{"b":1,"c":2},"d":3}`, `{"a":null,"d":4}`, func(b *flb.Part) {
			b.Put("a.c", 7)
			b.Put("d", 4)
			b.Put("a.b", 8)
			b.Put("a", nil)
		}},
		{`{"a":1}`, `{"b":3,"c":"y"}`, func(b *flb.Part) {
			b.Put("a", 5)
			b.Set("a", 6)
			b.Replace(flb.NewMap().Add("a", 1).Add("b", 2).Add("c", "x"))
			b.Set("b", 3)
			b.Remove("a")
			b.RewriteStrings(func(text string) (string, bool) { return "y", text == "x" })
		}},
		{`{"a":1}`, `{"a":2}`, func(b *flb.Part) { b.SetOrRemove("a", 2, true) }},
		{`{"a":1}`, `{}`, func(b *flb.Part) { b.SetOrRemove("a", 2, false) }},
		{`{"a":{"b":1}}`, `{"b":1}`, func(b *flb.Part) { b.Replace(b.Get("a")) }},
	} {
		got := run(t, func(e *flb.Event) {
			c.filter(&e.Body)
			e.Emit(e.Body.Edited())
		}, c.body)
		equal(t, got, []string{c.want, c.want})
	}
}

// member is one of a map of the model: a key and a value, as JSON, and whether it came with the event.
type member struct {
	key, value string
	came       bool
}

func object(members []member) string {
	var list []string
	for _, m := range members {
		list = append(list, strconv.Quote(m.key)+":"+m.value)
	}
	return "{" + strings.Join(list, ",") + "}"
}

// Edits of all kinds make what they make of a list of members.
func TestEditsLikeAModel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		var came []member
		for _, i := range r.Perm(20)[:r.IntN(20)] {
			came = append(came, member{"k" + strconv.Itoa(i), []string{"1", `"text"`, `[1,"text"]`, `{"a":null}`}[r.IntN(4)], true})
		}
		n, keys := r.IntN(12), 30
		if r.IntN(20) == 0 {
			n, keys = 900, 600 // more than a host takes
		}
		model, added := slices.Clone(came), []member{}
		rewrite := r.IntN(2) == 0
		if rewrite {
			for i, m := range model {
				model[i].value = strings.ReplaceAll(m.value, "text", "new")
			}
		}
		var edits []func(*flb.Part)
		for i := range n {
			key := "k" + strconv.Itoa(r.IntN(keys))
			is := func(m member) bool { return m.key == key }
			switch r.IntN(3) {
			case 0:
				edits = append(edits, func(p *flb.Part) { p.Set(key, i) })
				added = slices.DeleteFunc(added, is)
				if at := slices.IndexFunc(model, is); at >= 0 && model[at].came {
					model[at].value = strconv.Itoa(i)
				} else {
					model = append(slices.DeleteFunc(model, is), member{key, strconv.Itoa(i), false})
				}
			case 1:
				edits = append(edits, func(p *flb.Part) { p.Remove(key) })
				model, added = slices.DeleteFunc(model, is), slices.DeleteFunc(added, is)
			case 2:
				if n > 100 || slices.ContainsFunc(added, is) {
					continue
				}
				edits = append(edits, func(p *flb.Part) { p.Add(key, i) })
				added = append(added, member{key, strconv.Itoa(i), false})
			}
		}
		got := run(t, func(e *flb.Event) {
			if rewrite {
				e.Body.RewriteStrings(func(text string) (string, bool) { return "new", true })
			}
			for _, edit := range edits {
				edit(&e.Body)
			}
			e.Emit(e.Body.Edited())
		}, object(came))
		want := object(append(model, added...))
		if n > 100 { // the order is another one then
			got[1], want = sorted(got[1]), sorted(want)
			got[0] = sorted(got[0])
		}
		if got[0] != want || got[1] != want {
			t.Fatalf("%d edits of %s\ngot  %s\nand  %s\nwant %s", n, object(came), got[0], got[1], want)
		}
	}
}

func sorted(object string) string {
	var m map[string]any
	if err := json.Unmarshal([]byte(object), &m); err != nil {
		panic(err)
	}
	return fmt.Sprint(m)
}

func TestRewriteStrings(t *testing.T) {
	mark := func(text string) (string, bool) {
		return strings.ReplaceAll(text, "@", "***"), strings.Contains(text, "@")
	}
	body := `{"k@":"a@","n":1,"l":["@",{"m@":"@b","x":"none"}]}`
	equal(t, run(t, func(e *flb.Event) { e.Body.RewriteStrings(mark) }, body), []string{`{"k@":"a***","n":1,"l":["***",{"m@":"***b","x":"none"}]}`})
	long := strings.Repeat("@", 70_000)
	equal(t, run(t, func(e *flb.Event) { e.Body.RewriteStrings(mark) }, `{"a":"`+long+`"}`), []string{`{"a":"` + strings.Repeat("***", 70_000) + `"}`})
	// What was put is text of the part, too.
	got := run(t, func(e *flb.Event) {
		e.Body.Put("a", "@put")
		e.Body.Put("c", "@put")
		e.Body.RewriteStrings(mark)
	}, `{"a":["@"],"b":"@","c":"@"}`)
	equal(t, got, []string{`{"a":"***put","b":"***","c":"***put"}`})
}

func TestFaultsAreTheEvents(t *testing.T) {
	for want, filter := range map[string]func(e *flb.Event){
		"put inside a value that has been replaced":              func(e *flb.Event) { e.Body.Put("a", 1); e.Body.PutValue(e.Body.Get("a.b"), 1) },
		"put: the part has been replaced, or edited twice":       func(e *flb.Event) { e.Body.Replace(flb.NewMap()); e.Body.PutValue(e.Body.Get("a.b"), 1) },
		"set: a value that is not a map is in the way":           func(e *flb.Event) { e.Body.Set("a.b.c", 1) },
		"panic: set: a value that is not a map is in the way":    func(e *flb.Event) { flb.NewMap().Add("a", 1).Set("a.b", 2) },
		"a path has one step at least":                           func(e *flb.Event) { e.Body.RemoveAt() },
		"put: the value is not one of this part":                 func(e *flb.Event) { e.Body.PutValue(e.Metadata.Get("m"), 1) },
		"replace: a part is a map":                               func(e *flb.Event) { e.Body.Replace("text") },
		"emit: body and metadata are maps":                       func(e *flb.Event) { e.Emit(e.Body.Get("a.b")) },
		"the time is not one that an event can have":             func(e *flb.Event) { e.Emit(flb.NewMap()).Time(time.Unix(-1, 0)) },
		"panic: a value of this type can't be put into a record": func(e *flb.Event) { e.Body.Set("a", struct{}{}) },
		"the event would emit more than 64 MiB":                  func(e *flb.Event) { e.Body.Set("x", strings.Repeat("x", 40<<20)); e.Split("l") },
	} {
		out := new(flbtest.Host).Run(func(e *flb.Event) error { filter(e); return nil },
			flbtest.Record{Body: `{"a":{"b":1},"l":[1,2]}`, Metadata: `{"m":1}`}, flbtest.Record{Body: `{}`})
		if len(out.Failures) == 0 || out.Failures[0].Record != 0 || !strings.HasPrefix(out.Failures[0].Text, want) || slices.Contains(out.Bodies(), `{"a":{"b":1},"l":[1,2]}`) {
			t.Errorf("%+v, want %s", out, want)
		}
	}
	for _, filter := range []func(e *flb.Event){
		func(e *flb.Event) { e.Metadata.Set("a", 1) },
		func(e *flb.Event) { e.Metadata.Replace(flb.NewMap()) },
		func(e *flb.Event) { e.Emit(flb.NewMap()).Metadata(flb.NewMap()) },
	} {
		out := new(flbtest.Host).Run(func(e *flb.Event) error { filter(e); return nil }, flbtest.Record{NoMetadata: true})
		if len(out.Failures) != 1 || !strings.Contains(out.Failures[0].Text, "has no metadata") || out.Records != nil {
			t.Errorf("%+v", out)
		}
	}
}

// An error, wrapped or not, and a panic are those of one event: nothing of what it did takes effect, and
// the others go on.
func TestErrorsAreTheEvents(t *testing.T) {
	out := new(flbtest.Host).Run(func(e *flb.Event) error {
		e.Emit(flb.NewMap())
		e.Body.Set("touched", true)
		n, ok := e.Body.Get("n").AsStr()
		if !ok {
			return fmt.Errorf("event: %w", &flb.Error{Code: 7, Text: "no n"})
		}
		if n == "panic" {
			var none []int
			_ = none[len(n)]
		}
		if n == "text" {
			panic("of its own")
		}
		if n == "long" {
			return errors.New(strings.Repeat("x", 2000))
		}
		return nil
	}, flbtest.Record{Body: `{}`}, flbtest.Record{Body: `{"n":"panic"}`}, flbtest.Record{Body: `{"n":"7"}`},
		flbtest.Record{Body: `{"n":"text"}`}, flbtest.Record{Body: `{"n":"long"}`}, flbtest.Record{Body: `{"n":"8"}`})
	equal(t, out.Bodies(), []string{`{"n":"7","touched":true}`, `{}`, `{"n":"8","touched":true}`, `{}`})
	var got []string
	for _, f := range out.Failures {
		got = append(got, fmt.Sprint(f.Record, f.Code, " ", strings.SplitN(f.Text, ".go:", 2)[0]))
	}
	equal(t, got, []string{"0 7 event: no n", "1 1 panic: runtime error: index out of range [5] with length 0 (filter_test",
		"3 1 panic: of its own (filter_test", "4 1 " + strings.Repeat("x", 1024)})
}

func TestEmittedEventsHaveWhatTheEventHas(t *testing.T) {
	host := &flbtest.Host{Tag: "a.b", Groups: []string{`{"scope":1}`}}
	out := host.Run(func(e *flb.Event) error {
		if e.Tag() != "a.b" || e.Time().UnixNano() != 10e9+11 || e.Group().Get("scope").Int() != 1 {
			return errors.New("tag, time or group")
		}
		e.Emit(flb.NewMap().Add("n", 1))
		e.Metadata.Set("m", 2)
		for _, t := range []time.Time{time.Unix(1<<32-2, 0), time.Unix(-1, 0)} {
			if e.SetTime(t) == nil {
				return errors.New("a time that can't be")
			}
		}
		if err := e.SetTime(time.Unix(20, 21)); err != nil {
			return err
		}
		e.Emit(flb.NewMap().Add("n", 2)).Metadata(flb.NewMap()).Time(time.Unix(30, 31)).WithoutGroup()
		if e.Body.Get("drop").Bool() {
			e.Drop()
		}
		return nil
	}, flbtest.Record{Body: `{"drop":true}`, Metadata: `{"m":1}`, Time: time.Unix(10, 11), Group: 1},
		flbtest.Record{Body: `{}`, Metadata: `{"m":1}`, Time: time.Unix(10, 11), Group: 1})
	var got []string
	for _, r := range out.Records {
		got = append(got, fmt.Sprint(r.Body, r.Metadata, r.Time.UnixNano(), r.Group))
	}
	first, second := `{"n":1}{"m":2}20000000021 1`, `{"n":2}{}30000000031 0`
	equal(t, got, []string{first, second, `{}{"m":2}20000000021 1`, first, second})
	equal(t, out.Failures, nil)
}

func TestSplit(t *testing.T) {
	filter := func(e *flb.Event) {
		e.Body.Set("a", 1)
		e.Body.RewriteStrings(func(text string) (string, bool) { return "y", text == "x" })
		e.Split("l")
	}
	equal(t, run(t, filter, `{"l":[1,"x"],"z":{}}`), []string{`{"l":1,"z":{},"a":1}`, `{"l":"y","z":{},"a":1}`})
	for _, body := range []string{`{"l":[],"a":1}`, `{"l":{"b":2},"a":1}`, `{"a":1}`} {
		equal(t, run(t, filter, body), []string{body})
	}
	equal(t, run(t, func(e *flb.Event) { e.Body.Set("l", []string{"p", "q"}); e.Split("l") }, `{}`), []string{`{"l":"p"}`, `{"l":"q"}`})
}

type groups struct{}

func (groups) Filter(e *flb.Event) error { e.Body.Set("seen", true); return nil }

func (groups) Group(g *flb.Group) error {
	g.Body.Set("tagged", 1)
	if why, ok := g.Body.GetStr("bad"); ok && why == "panic" {
		panic(why)
	} else if ok {
		return errors.New(why)
	}
	return nil
}

func TestGroups(t *testing.T) {
	host := &flbtest.Host{Groups: []string{`{"bad":"a bad group"}`, `{"good":1}`, `{"bad":"panic"}`}}
	started, err := host.Start(func() (flb.Handler, error) { return groups{}, nil })
	if err != nil {
		t.Fatal(err)
	}
	out := started.Run(flbtest.Record{}, flbtest.Record{Group: 1}, flbtest.Record{Group: 2}, flbtest.Record{Group: 3})
	equal(t, out.Groups, []string{`{"bad":"a bad group"}`, `{"good":1,"tagged":1}`, `{"bad":"panic"}`})
	equal(t, out.Bodies(), []string{`{"seen":true}`, `{"seen":true}`})
	if f := out.Failures; len(f) != 2 || f[0].Record != 1 || f[0].Text != "a bad group" || !strings.HasPrefix(f[1].Text, "panic: panic (filter_test.go") {
		t.Errorf("%+v", f)
	}
}

func TestNumbersAndLengths(t *testing.T) {
	of := func(value any) flb.Value { return flb.NewMap().Add("n", value).Value().Key("n") }
	for _, n := range []int64{0, 1, -1, -32, -33, 127, 128, 255, 256, -128, -129, 65535, 65536, -32768, -32769,
		math.MaxInt64, math.MinInt64, 1 << 31, -(1 << 31), -(1 << 31) - 1, 1 << 32, math.MaxUint32} {
		got, ok := of(n).AsInt()
		u, isUint := of(n).AsUint()
		if !ok || got != n || isUint != (n >= 0) || isUint && u != uint64(n) || of(n).Float() != float64(n) || of(n).Kind() != flb.KindInt {
			t.Error(n, got, u)
		}
	}
	if n, ok := of(uint64(math.MaxUint64)).AsUint(); n != math.MaxUint64 || !ok || of(uint64(math.MaxUint64)).Int() != 0 {
		t.Error(n)
	}
	if f, ok := of(float32(1.5)).AsFloat(); f != 1.5 || !ok || of(1.5).Int() != 0 || of("1.5").Float() != 0 {
		t.Error(f)
	}
	for _, n := range []int{0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536} {
		members := flb.NewMap()
		for i := range n {
			members.Add("k", i)
		}
		whole := flb.NewMap().Add("text", strings.Repeat("x", n)).Add("bin", make([]byte, n)).Add("list", make([]string, n)).Add("map", members).Add("last", true).Value()
		bin, _ := whole.Key("bin").AsBytes()
		count := 0
		for range whole.Key("map").Members() {
			count++
		}
		if len(whole.Key("text").Str()) != n || len(bin) != n || whole.Key("list").Len() != n || count != n || !whole.Key("last").Bool() ||
			whole.Key("bin").Kind() != flb.KindBin || flb.MapOf(whole.Key("map")).Value().MessagePack() != whole.Key("map").MessagePack() {
			t.Error(n)
		}
	}
}

func TestPaths(t *testing.T) {
	run(t, func(e *flb.Event) {
		for path, want := range map[string]int64{"a.b.c": 7, "a.b.d": 3, "l.0.0": 5, "0": 6, "": 0, ".": 0, "a.": 0, "l.1": 0, "l.x": 0, "l.-0": 0, "0.0": 0, "l.0.": 0} {
			if got := e.Body.Get(path); got.Int() != want || got.Exists() != (want > 0) {
				t.Error(path, got.Int(), want)
			}
		}
		if e.Body.At("a", "b", "d").Int() != 3 || e.Body.At("a.b", "c").Int() != 4 || e.Body.At(0).Int() != 6 || e.Body.At("l", "0").Exists() ||
			e.Body.At("l").Kind() != flb.KindArray || e.Body.At("l", 0, 0).Int() != 5 || e.Body.At("l", -1).Exists() {
			t.Error("At")
		}
		for text, want := range map[string]int64{"$l[0][0]": 5, "$a['b']['d']": 3, "$a.b['c']": 4, "$a['b.c']": 7, "$x": 0} {
			steps, err := flb.Accessor(text)
			if err != nil || e.Body.At(steps...).Int() != want {
				t.Error(text, steps, err)
			}
		}
	}, `{"a.b":{"c":4},"a":{"b":{"c":2,"d":3},"b.c":7},"l":[[5]],"0":6}`)
	for _, text := range []string{"", "$", "a", "a['b']", "$['a']", "$a[b]", "$a['b", "$a['b'", "$a[0", "$a[0]b", "$a['b']c", "$a[]", "$a[-1]", "$a[", "$a]", "$a[0]["} {
		if steps, err := flb.Accessor(text); err == nil || !strings.Contains(err.Error(), "$key['key'][0]") {
			t.Errorf("%s: %v, %v", text, steps, err)
		}
	}
}

type everything struct {
	users     flb.Table
	counter   flb.Counter
	gauge     flb.Gauge
	histogram flb.Histogram
}

func (a everything) Filter(e *flb.Event) error {
	a.counter.Add(2, "x", "")
	a.counter.Add(1, "x", "")
	a.gauge.Set(5)
	a.gauge.Add(-1)
	a.histogram.Observe(7)
	for _, key := range []string{"bob", "eve"} {
		name, ok := a.users.Get(key, "name")
		e.Body.SetOrRemove(key, name, ok)
	}
	e.Body.Set("all", a.users.GetValue("bob", ""))
	ids, _ := a.users.Get("bob", "ids")
	e.Body.Set("ids", ids)
	flb.Logf(flb.LevelWarn, "%d of %d", 1, 2)
	flb.Logf(flb.LevelDebug, "not logged")
	return nil
}

func TestTheHost(t *testing.T) {
	host := &flbtest.Host{
		Config: map[string]string{"n": "42", "Large": strings.Repeat("x", 1000), "bad": "4x"},
		Tables: map[string]string{"users": `{"bob":{"name":"Bob","ids":[1,2]}}`},
	}
	started, err := host.Start(func() (flb.Handler, error) {
		equal(t, flb.Config.Keys(), []string{"bad", "large", "n"})
		large, ok := flb.Config.Get("LARGE")
		equal(t, len(large), 1000)
		equal(t, ok, true)
		equal(t, flb.Config.GetOr("x", "y"), "y")
		n, err := flb.ParseOr("n", 1, strconv.Atoi)
		equal(t, fmt.Sprint(n, err), "42 <nil>")
		n, err = flb.ParseOr("x", 1, strconv.Atoi)
		equal(t, fmt.Sprint(n, err), "1 <nil>")
		_, err = flb.ParseOr("bad", 1, strconv.Atoi)
		equal(t, err.Error(), "config.bad is '4x': invalid syntax")
		_, err = flb.Config.Require("x", "a number")
		equal(t, err.Error(), "config.x: set it to a number")
		_, err = flb.OpenTable("other")
		equal(t, err.Error(), "table.other: set it to a .csv, .json or .mmdb file")
		users, err := flb.OpenTable("Users")
		return everything{users, flb.NewCounter("c_total", "", "a", "b"), flb.NewGauge("g", ""), flb.NewHistogram("h", "", []float64{1, 2})}, err
	})
	if err != nil {
		t.Fatal(err)
	}
	out := started.Run(flbtest.Record{Body: `{"eve":1}`})
	equal(t, out.Bodies(), []string{`{"bob":"Bob","all":{"name":"Bob","ids":[1,2]},"ids":"[1,2]"}`})
	equal(t, []float64{host.Metric("c_total", "x", ""), host.Metric("g"), host.Metric("h")}, []float64{3, 4, 1})
	equal(t, host.Lines, []string{"[warn] 1 of 2"})
}

func TestTheStore(t *testing.T) {
	host := &flbtest.Host{}
	step := func(function func()) {
		t.Helper()
		if out := host.Run(func(*flb.Event) error { function(); return nil }, flbtest.Record{}); out.Failures != nil {
			t.Fatal(out.Failures)
		}
	}
	is := func(key, want string, there bool) {
		t.Helper()
		got, ok := flb.Store.Get(key)
		equal(t, string(got), want)
		equal(t, ok, there)
	}
	cas := func(key string, old []byte, value string, ttl time.Duration, want bool) {
		t.Helper()
		ok, err := flb.Store.CompareAndSet(key, old, []byte(value), ttl)
		equal(t, err, nil)
		equal(t, ok, want)
	}
	add := func(n int64, ttl time.Duration, want int64) {
		t.Helper()
		sum, err := flb.Store.Add("n", n, ttl)
		equal(t, err, nil)
		equal(t, sum, want)
	}
	step(func() {
		is("a", "", false)
		equal(t, flb.Store.Set("a", []byte("1"), time.Second), nil)
		equal(t, flb.Store.Set("b", make([]byte, 1000), flb.Forever), nil)
		is("b", string(make([]byte, 1000)), true)
		cas("a", nil, "2", flb.Keep, false)
		cas("a", []byte{}, "2", flb.Keep, false)
		cas("a", []byte("1"), "2", flb.Keep, true)
		cas("c", nil, "3", 1500*time.Millisecond, true)
		add(2, time.Second, 2)
		equal(t, flb.Store.Set("short", nil, time.Nanosecond), nil)
		is("short", "", true)
		cas("short", []byte{}, "", time.Nanosecond, true)
		equal(t, []bool{flb.Store.Delete("b"), flb.Store.Delete("b")}, []bool{true, false})
		equal(t, flb.Store.Set(strings.Repeat("k", 1025), nil, flb.Forever), flb.ErrFull)
	})
	host.Advance(999 * time.Millisecond)
	step(func() { is("a", "2", true); add(-5, 9*time.Second, -3); is("short", "", false) })
	host.Advance(time.Millisecond)
	step(func() { is("a", "", false); is("n", "", false); is("c", "3", true) })
}

func TestConfigurationsAreRefused(t *testing.T) {
	for want, configure := range map[string]func() (flb.Handler, error){
		"why": func() (flb.Handler, error) { return nil, errors.New("why") },
		"the module has no filter: flb.Configure has returned nil": func() (flb.Handler, error) { return nil, nil },
		"panic: why (filter_test.go:":                              func() (flb.Handler, error) { panic("why") },
		"the module has no filter: call flb.Filter or ":            nil,
	} {
		if _, err := new(flbtest.Host).Start(configure); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestOtherTags(t *testing.T) {
	neighbour := flbtest.Record{Body: `{"neighbour":1}`}
	record := flbtest.Record{Body: `{"a":1,"user":"bob"}`, Metadata: `{"m":1}`, Time: time.Unix(5, 0).UTC()}
	run := func(filter func(*flb.Event) error) *flbtest.Output {
		t.Helper()
		out := new(flbtest.Host).Run(func(e *flb.Event) error {
			if e.Body.Get("neighbour").Exists() {
				e.Body.Set("neighbour", 2)
				return nil
			}
			return filter(e)
		}, neighbour, record, neighbour)
		if n := len(out.Records); n < 2 || out.Records[0].Body != `{"neighbour":2}` || out.Records[n-1].Body != `{"neighbour":2}` {
			t.Fatal(out)
		}
		out.Records = out.Records[1 : len(out.Records)-1]
		return out
	}
	out := run(func(e *flb.Event) error {
		e.Emit(flb.NewMap().Add("n", 1))
		e.EmitTo("audit.x", flb.NewMap().Add("n", 2))
		e.EmitTo("other", flb.NewMap().Add("n", 3)).Metadata(flb.NewMap().Add("own", true)).Time(time.Unix(6, 7))
		e.Metadata.Set("m", 2)
		return e.SetTime(time.Unix(8, 0))
	})
	equal(t, out.Bodies(), []string{`{"a":1,"user":"bob"}`, `{"n":1}`})
	equal(t, out.Routed, []flbtest.Routed{
		{Tag: "audit.x", Record: flbtest.Record{Body: `{"n":2}`, Metadata: `{"m":2}`, Time: time.Unix(8, 0).UTC()}},
		{Tag: "other", Record: flbtest.Record{Body: `{"n":3}`, Metadata: `{"own":true}`, Time: time.Unix(6, 7).UTC()}},
	})

	// The body goes as it stands in the batch, or as it has been edited.
	out = run(func(e *flb.Event) error { e.Metadata.Set("m", 3); e.Route("audit"); return nil })
	equal(t, out.Routed, []flbtest.Routed{{Tag: "audit", Record: flbtest.Record{Body: record.Body, Metadata: `{"m":3}`, Time: record.Time}}})
	equal(t, out.Bodies(), []string(nil))
	out = run(func(e *flb.Event) error {
		e.Body.Set("user", "***")
		e.Route("audit")
		e.Route("copy")
		e.Body.Set("a", 2) // too late
		return nil
	})
	equal(t, out.Bodies(), []string(nil))
	for _, tag := range []string{"audit", "copy"} {
		equal(t, out.BodiesUnder(tag), []string{`{"a":1,"user":"***"}`})
	}

	// What has failed has gone nowhere.
	out = run(func(e *flb.Event) error { e.Route("audit"); return errors.New("no") })
	equal(t, len(out.Routed)+len(out.Records), 0)
	equal(t, out.Failures[0].Text, "no")

	defer func() { equal(t, fmt.Sprint(recover()), "flbtest: 'two\nlines' is not a tag") }()
	run(func(e *flb.Event) error { e.Route("two\nlines"); return nil })
}

type fold struct{ fails bool }

func (f *fold) Filter(e *flb.Event) error {
	_, err := flb.Store.Add("n", 1, flb.Forever)
	e.Drop()
	if tick.Emit("folded", flb.NewMap()) == nil {
		panic("only a tick emits so")
	}
	return err
}

func (f *fold) tick(last bool) error {
	n, err := flb.Store.Add("n", 0, flb.Forever)
	flb.Store.Delete("n")
	err = errors.Join(err, tick.Emit("folded", flb.NewMap().Add("n", n).Add("last", last)),
		tick.EmitAt("timed", flb.NewMap().Add("n", n), flb.NewMap().Add("m", 1), time.Unix(3, 4)))
	if f.fails {
		panic("it fails")
	}
	return err
}

func TestTicks(t *testing.T) {
	host := new(flbtest.Host)
	started, err := host.Start(func() (flb.Handler, error) {
		_, fails := flb.Config.Get("fails")
		f := &fold{fails}
		tick.Call(f.tick)
		return f, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if out := started.Run(flbtest.Record{}, flbtest.Record{}); out.Failures != nil {
		t.Fatal(out)
	}
	host.Advance(time.Minute)
	out, err := started.Tick(false)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, out, []flbtest.Routed{
		{Tag: "folded", Record: flbtest.Record{Body: `{"n":2,"last":false}`, Metadata: "{}", Time: time.Unix(1_700_000_060, 0).UTC()}},
		{Tag: "timed", Record: flbtest.Record{Body: `{"n":2}`, Metadata: `{"m":1}`, Time: time.Unix(3, 4).UTC()}},
	})
	out, err = started.Tick(true)
	if err != nil || out[0].Body != `{"n":0,"last":true}` {
		t.Error(out, err)
	}
	started.Handler.(*fold).fails = true
	out, err = started.Tick(true)
	if out != nil || err == nil || !strings.HasPrefix(err.Error(), "panic: it fails (filter_test.go:") {
		t.Error(out, err)
	}
}
