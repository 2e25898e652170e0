package otlp

import (
	stdbytes "bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// msg is a message of fields, each made by one of the functions below.
func msg(fields ...[]byte) (b []byte) {
	for _, f := range fields {
		b = append(b, f...)
	}
	return b
}

func sub(number int, fields ...[]byte) []byte { return appendBytes(nil, number, msg(fields...)) }
func str(number int, s string) []byte         { return appendBytes(nil, number, []byte(s)) }
func num(number int, v uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(nil, uint64(number)<<3), v)
}

func fixed(number int, v uint64) []byte {
	return binary.LittleEndian.AppendUint64(binary.AppendUvarint(nil, uint64(number)<<3|fixed64), v)
}
func word32(number int, v uint32) []byte {
	return binary.LittleEndian.AppendUint32(binary.AppendUvarint(nil, uint64(number)<<3|fixed32), v)
}
func dbl(number int, v float64) []byte { return fixed(number, math.Float64bits(v)) }

func attr(number int, key string, value ...[]byte) []byte {
	return sub(number, str(1, key), sub(2, value...))
}

func ofMetrics(metrics ...[]byte) []byte { return sub(1, sub(2, metrics...)) }

func gaugeOf(points ...[]byte) []byte {
	return sub(2, str(1, "g"), sub(5, points...))
}

func point(fields ...[]byte) []byte { return sub(1, append(fields, dbl(4, 1))...) }

func nested(levels int) []byte {
	b := str(1, "x")
	for range levels {
		b = sub(5, sub(1, b))
	}
	return b
}

func ofTraces(spans ...[]byte) []byte {
	return sub(1, sub(1), sub(2, spans...))
}

var all = Host{ExponentialHistograms: true, SignedIntegers: true, ScopeAttributes: true, ScopelessSpans: true}

func labels(n int) (list [][]byte) {
	for i := range n {
		list = append(list, attr(7, strings.Repeat("l", i+1), str(1, "v")))
	}
	return list
}

// keysTwice are points with a label each, of which the last key counts: all differ.
func keysTwice(n int) (points [][]byte) {
	for i := range n {
		points = append(points, point(sub(7, str(1, "a"), str(1, strconv.Itoa(i)), sub(2, str(1, "v")))))
	}
	return points
}

func TestCheck(t *testing.T) {
	histogram := func(points ...[]byte) []byte { return sub(2, str(1, "h"), sub(9, points...)) }
	doubles := func(number int, list ...float64) []byte {
		var b []byte
		for _, v := range list {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
		}
		return appendBytes(nil, number, b)
	}
	summaryOf := func(points ...[]byte) []byte { return sub(2, str(1, "s"), sub(11, points...)) }
	quantiles := func(list ...float64) []byte {
		var fields [][]byte
		for _, v := range list {
			fields = append(fields, sub(6, dbl(1, v), dbl(2, 1)))
		}
		return sub(1, fields...)
	}
	for name, test := range map[string]struct {
		traces  bool
		host    Host
		request []byte
		want    string // "": it may take the place
	}{
		"a gauge":                      {host: Host{}, request: ofMetrics(gaugeOf(point()))},
		"an unknown field":             {host: Host{}, request: msg(ofMetrics(gaugeOf(point())), str(111, ""))},
		"cut off":                      {host: all, request: ofMetrics(gaugeOf(point()))[:10], want: "cut off"},
		"a varint without an end":      {host: all, request: []byte{0x80, 0x80, 0x80}, want: "cut off"},
		"a varint of 11 bytes":         {host: all, request: []byte{0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, want: "cut off"},
		"a group":                      {host: all, request: []byte{0x0b, 0x0c}, want: "wire type 3"},
		"field 0":                      {host: all, request: []byte{0x00, 0x00}, want: "number 0"},
		"another wire type":            {host: all, request: num(1, 5), want: "another type"},
		"two resources":                {host: all, request: msg(sub(1, sub(1, attr(1, "a", num(2, 1))), sub(2, gaugeOf(point()))), ofMetrics(gaugeOf(point()))), want: "2 resources and 2 scopes"},
		"two scopes":                   {host: all, request: sub(1, sub(2, sub(1, str(1, "a")), gaugeOf(point())), sub(2, gaugeOf(point()))), want: "1 resources and 2 scopes"},
		"two schemas":                  {host: all, request: sub(1, sub(2, gaugeOf(point())), sub(2, gaugeOf(point()), str(3, "url"))), want: "1 resources and 2 scopes"},
		"a scope of each of two":       {host: all, request: msg(ofMetrics(gaugeOf(point())), sub(1, sub(2, gaugeOf(point())), str(3, "url"))), want: "2 resources and 2 scopes"},
		"one, another and the first":   {host: all, request: msg(ofMetrics(gaugeOf(point())), sub(1, sub(2, gaugeOf(point())), str(3, "url")), ofMetrics(gaugeOf(point()))), want: "3 resources"},
		"a resource twice":             {host: all, request: sub(1, sub(1), sub(1), sub(2, gaugeOf(point()))), want: "twice"},
		"a name and none":              {host: all, request: ofMetrics(sub(2, str(1, "g"), str(1, ""), sub(5, point()))), want: "Metric has field 1, or one in its place, twice"},
		"a key twice":                  {host: all, request: ofMetrics(gaugeOf(keysTwice(129)...)), want: "KeyValue has field 1, or one in its place, twice"},
		"a time twice":                 {host: all, request: ofMetrics(gaugeOf(point(fixed(3, 1), fixed(3, 2)))), want: "twice"},
		"a number twice":               {host: all, request: ofMetrics(gaugeOf(point(num(8, 1), num(8, 1)))), want: "twice"},
		"a quantile twice":             {host: all, request: ofMetrics(summaryOf(quantiles(1), sub(1, sub(6, dbl(1, 1), dbl(1, 0.5))))), want: "twice"},
		"a gauge and a sum":            {host: all, request: ofMetrics(sub(2, str(1, "g"), sub(5, point()), sub(7, point()))), want: "twice"},
		"a metric without a name":      {host: all, request: ofMetrics(sub(2, sub(5, point()))), want: "no name"},
		"a metric of no type":          {host: all, request: ofMetrics(sub(2, str(1, "m"))), want: "none of the types"},
		"a text with a NUL":            {host: all, request: ofMetrics(sub(2, str(1, "a\x00b"), sub(5, point()))), want: "NUL"},
		"a label with a NUL":           {host: all, request: ofMetrics(gaugeOf(point(attr(7, "l", str(1, "\x00"))))), want: "NUL"},
		"a label without a value":      {host: all, request: ofMetrics(gaugeOf(point(sub(7, str(1, "l"))))), want: `"l" has no value`},
		"a label of an empty value":    {host: all, request: ofMetrics(gaugeOf(point(attr(7, "l")))), want: "a value is empty"},
		"a label that is a list":       {host: all, request: ofMetrics(gaugeOf(point(attr(7, "l", nested(1))))), want: "neither text"},
		"one in a later oneof":         {host: all, request: ofMetrics(gaugeOf(point(attr(7, "l", str(1, "x"), num(8, 1))))), want: "AnyValue has field 8, which Fluent Bit does not hold"},
		"a label that is bytes":        {host: all, request: ofMetrics(gaugeOf(point(attr(7, "l", str(7, "x"))))), want: "neither text"},
		"a label twice":                {host: all, request: ofMetrics(gaugeOf(point(attr(7, "l", str(1, "x")), attr(7, "l", str(1, "y"))))), want: "twice"},
		"a label in two points":        {host: all, request: ofMetrics(gaugeOf(point(attr(7, "l", str(1, "x"))), point(attr(7, "l", str(1, "y")))))},
		"127 labels":                   {host: all, request: ofMetrics(gaugeOf(point(labels(127)...)))},
		"128 labels":                   {host: all, request: ofMetrics(gaugeOf(point(labels(128)...))), want: "127 labels"},
		"128 labels in two points":     {host: all, request: ofMetrics(gaugeOf(point(labels(127)...), point(labels(128)[127]))), want: "127 labels"},
		"127 labels in each of two":    {host: all, request: ofMetrics(gaugeOf(point(labels(127)...)), sub(2, str(1, "o"), sub(5, point(labels(128)[127]))))},
		"a point without a value":      {host: all, request: ofMetrics(gaugeOf(sub(1, fixed(3, 1)))), want: "no value"},
		"a negative integer":           {host: all, request: ofMetrics(gaugeOf(sub(1, fixed(6, 1<<63))))},
		"one where it becomes 0":       {host: Host{}, request: ofMetrics(gaugeOf(sub(1, fixed(6, 1<<63)))), want: "negative integer"},
		"one in a sum that rises":      {host: all, request: ofMetrics(sub(2, str(1, "s"), sub(7, sub(1, fixed(6, 1<<63)), num(3, 1)))), want: "negative integer"},
		"one in a sum that may fall":   {host: all, request: ofMetrics(sub(2, str(1, "s"), sub(7, sub(1, fixed(6, 1<<63)))))},
		"buckets":                      {host: all, request: ofMetrics(histogram(sub(1, doubles(7, 1, 2), doubles(6, 0, 0, 0))))},
		"no buckets":                   {host: all, request: ofMetrics(histogram(sub(1, fixed(4, 1))))},
		"too many buckets":             {host: all, request: ofMetrics(histogram(sub(1, doubles(7, 1), doubles(6, 0, 0, 0)))), want: "1 bounds and 3 buckets"},
		"too few buckets":              {host: all, request: ofMetrics(histogram(sub(1, doubles(7, 1, 2), doubles(6, 0)))), want: "2 bounds and 1 buckets"},
		"other bounds":                 {host: all, request: ofMetrics(histogram(sub(1, doubles(7, 1), doubles(6, 0, 0)), sub(1, doubles(7, 2), doubles(6, 0, 0)))), want: "differ in their bounds"},
		"two histograms":               {host: all, request: ofMetrics(histogram(sub(1, doubles(7, 1), doubles(6, 0, 0))), histogram(sub(1, doubles(7, 2, 3), doubles(6, 0, 0, 0))))},
		"bounds in parts":              {host: all, request: ofMetrics(histogram(sub(1, doubles(7, 1), dbl(7, 2), doubles(6, 0), doubles(7), fixed(6, 0), fixed(6, 0)), sub(1, doubles(7, 1, 2), doubles(6, 0, 0, 0))))},
		"other bounds in parts":        {host: all, request: ofMetrics(histogram(sub(1, doubles(7, 1), dbl(7, 2), doubles(6, 0, 0, 0)), sub(1, doubles(7, 1), dbl(7, 3), doubles(6, 0, 0, 0)))), want: "differ in their bounds"},
		"a list of 7 bytes":            {host: all, request: ofMetrics(histogram(sub(1, str(7, "1234567")))), want: "another type"},
		"quantiles":                    {host: all, request: ofMetrics(summaryOf(quantiles(0.5, 1), quantiles(0.5, 1)))},
		"other quantiles":              {host: all, request: ofMetrics(summaryOf(quantiles(0.5, 1), quantiles(0.5))), want: "differ in their quantiles"},
		"an exponential histogram":     {host: all, request: ofMetrics(sub(2, str(1, "e"), sub(10, sub(1, sub(8, str(2, "\x01\x80\x02"))))))},
		"one that is not read":         {host: Host{}, request: ofMetrics(sub(2, str(1, "e"), sub(10, sub(1)))), want: "exponential histogram"},
		"buckets that are cut off":     {host: all, request: ofMetrics(sub(2, str(1, "e"), sub(10, sub(1, sub(8, str(2, "\x80")))))), want: "another type"},
		"attributes of a scope":        {host: all, request: sub(1, sub(2, sub(1, attr(3, "a", num(3, 1))), gaugeOf(point())))},
		"those that are not survived":  {host: Host{}, request: sub(1, sub(2, sub(1, attr(3, "a", num(3, 1))), gaugeOf(point()))), want: "the scope of metrics has attributes"},
		"values in values":             {host: all, request: sub(1, sub(1, attr(1, "deep", nested(45))), sub(2, gaugeOf(point())))},
		"too many of them":             {host: all, request: sub(1, sub(1, attr(1, "deep", nested(60))), sub(2, gaugeOf(point()))), want: "nests more than 100"},
		"thousands of them":            {host: all, request: sub(1, sub(1, attr(1, "deep", nested(5_000))), sub(2, gaugeOf(point()))), want: "nests more than 100"},
		"spans":                        {traces: true, host: all, request: ofTraces(sub(2, str(5, "s"), attr(9, "a", num(2, 1))))},
		"spans without a resource":     {traces: true, host: all, request: sub(1, sub(2, sub(2))), want: "no resource"},
		"spans without a scope":        {traces: true, host: Host{}, request: ofTraces(sub(2)), want: "no scope"},
		"spans with one":               {traces: true, host: Host{}, request: sub(1, sub(1), sub(2, sub(1), sub(2)))},
		"an attribute without a value": {traces: true, host: all, request: ofTraces(sub(2, sub(9, str(1, "a")))), want: "no value"},
		"one of bytes":                 {traces: true, host: all, request: ofTraces(sub(2, attr(9, "a", str(7, "x")))), want: "is bytes"},
		"one behind an unknown field":  {traces: true, host: all, request: ofTraces(sub(2, attr(9, "a", num(100, 1), str(7, "x")))), want: "AnyValue has field 100, which Fluent Bit does not hold"},
		"a text of an index":           {traces: true, host: all, request: ofTraces(sub(2, attr(9, "a", str(1, "s"), num(8, 1)))), want: "AnyValue has field 8, which Fluent Bit does not hold"},
		"bytes before the key":         {traces: true, host: all, request: ofTraces(sub(2, sub(9, sub(2, str(7, "x")), str(1, "a")))), want: "attribute \"a\" is bytes"},
		"bytes in a map":               {traces: true, host: all, request: ofTraces(sub(2, attr(9, "a", sub(6, attr(1, "b", str(7, "x"))))))},
		"a span's flags twice":         {traces: true, host: all, request: ofTraces(sub(2, word32(16, 1), word32(16, 1))), want: "Span has field 16"},
		"a span's number twice":        {traces: true, host: all, request: ofTraces(sub(2, str(1, "0123456789abcdef"), str(1, ""))), want: "Span has field 1,"},
		"bytes in a list":              {traces: true, host: all, request: ofTraces(sub(2, attr(9, "a", sub(5, sub(1, str(7, "x"))))))},
		"nothing in a list":            {traces: true, host: all, request: ofTraces(sub(2, attr(9, "a", sub(5, sub(1))))), want: "a value is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			check := CheckMetrics
			if test.traces {
				check = CheckTraces
			}
			out, err := check(nil, test.request, test.host)
			switch {
			case test.want == "" && err != nil:
				t.Fatal(err)
			case test.want == "" && string(out) != string(test.request):
				t.Errorf("%x is left of %x", out, test.request)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// Metrics without data points are left out, and a request without others leaves nothing.
func TestNothingLeft(t *testing.T) {
	empty := sub(2, str(1, "empty"), sub(9))
	for name, test := range map[string]struct{ request, want []byte }{
		"nothing":           {nil, nil},
		"no scope":          {sub(1, sub(1)), nil},
		"no metrics":        {ofMetrics(), nil},
		"no points":         {ofMetrics(empty, empty), nil},
		"one without":       {sub(1, sub(1), sub(2, sub(1, str(1, "scope")), empty, gaugeOf(point()), empty), str(3, "url")), sub(1, sub(1), sub(2, sub(1, str(1, "scope")), gaugeOf(point())), str(3, "url"))},
		"behind unknown":    {msg(str(99, "x"), ofMetrics(empty, gaugeOf(point()))), msg(str(99, "x"), ofMetrics(gaugeOf(point())))},
		"one with, in kind": {ofMetrics(gaugeOf(point())), ofMetrics(gaugeOf(point()))},
	} {
		out, err := CheckMetrics(nil, test.request, all)
		if err != nil || string(out) != string(test.want) {
			t.Errorf("%s: %x, %v, want %x", name, out, err, test.want)
		}
	}
	if out, err := CheckTraces(nil, nil, all); len(out) > 0 || err != nil {
		t.Errorf("no traces: %x, %v", out, err)
	}
}

// What several ResourceMetrics and ScopeMetrics have of the same resource and scope becomes one of each.
func TestMerged(t *testing.T) {
	named := func(name string) []byte { return sub(2, str(1, name), sub(5, point())) }
	resource, scope, url := sub(1, attr(1, "a", num(2, 1))), sub(1, str(1, "scope")), str(3, "url")
	empty := sub(2, str(1, "empty"), sub(9))
	one := sub(1, resource, url, sub(2, scope, named("x"), named("y"), named("z")))
	for name, test := range map[string]struct{ request, want []byte }{
		"several resources":   {msg(sub(1, resource, sub(2, scope, named("x"), empty, named("y")), url), sub(1, resource, url, sub(2, scope, named("z")))), one},
		"several scopes":      {sub(1, resource, sub(2, scope, named("x")), sub(2, named("y"), scope), sub(2, scope, named("z")), url), one},
		"others have nothing": {msg(sub(1, sub(2, empty)), sub(1, resource, url, sub(2), sub(2, scope, named("x"), named("y"), named("z")), sub(2, str(3, "other"), empty)), sub(1)), one},
		"all have nothing":    {msg(sub(1, resource, sub(2, empty)), sub(1)), nil},
	} {
		out, err := CheckMetrics(nil, test.request, all)
		if err != nil || string(out) != string(test.want) {
			t.Errorf("%s: %x, %v, want %x", name, out, err, test.want)
		}
	}
}

// What is decoded of a replacement is bounded, by what came if that is more.
func TestBounds(t *testing.T) {
	points := func(n int) []byte {
		one := point()
		var fields []byte
		for range n {
			fields = append(fields, one...)
		}
		return ofMetrics(gaugeOf(fields))
	}
	if _, err := CheckMetrics(nil, points(freePoints-1), all); err != nil {
		t.Error(err)
	}
	if _, err := CheckMetrics(nil, points(freePoints), all); err == nil || !strings.Contains(err.Error(), "data points") {
		t.Errorf("%d points: %v", freePoints, err)
	}
	if _, err := CheckMetrics(points(freePoints), points(2*freePoints), all); err != nil {
		t.Error(err)
	}
	spans := func(n int) []byte {
		one := sub(2)
		var fields []byte
		for range n {
			fields = append(fields, one...)
		}
		return ofTraces(fields)
	}
	if _, err := CheckTraces(nil, spans(freeMessages), all); err == nil || !strings.Contains(err.Error(), "messages") {
		t.Errorf("%d spans: %v", freeMessages, err)
	}
	if _, err := CheckTraces(spans(freeMessages), spans(freeMessages+1000), all); err != nil {
		t.Error(err)
	}
	// A decoder makes some hundred bytes of a field of two.
	for name, of := range map[string]struct {
		traces bool
		field  []byte
		in     func(fields []byte) []byte
	}{
		"unknown numbers": {false, num(15, 0), func(fields []byte) []byte { return ofMetrics(sub(2, str(1, "g"), sub(5, point(), fields))) }},
		"unknown texts":   {true, str(20, ""), func(fields []byte) []byte { return ofTraces(sub(2, fields)) }},
		"empty lists":     {false, str(7, ""), func(fields []byte) []byte { return ofMetrics(sub(2, str(1, "h"), sub(9, sub(1, fields)))) }},
		"lists of one":    {false, num(2, 0), func(fields []byte) []byte { return ofMetrics(sub(2, str(1, "e"), sub(10, sub(1, sub(8, fields))))) }},
	} {
		check := CheckMetrics
		if of.traces {
			check = CheckTraces
		}
		if _, err := check(nil, of.in(stdbytes.Repeat(of.field, 1_000)), all); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := check(nil, of.in(stdbytes.Repeat(of.field, 1_000_000)), all); err == nil || !strings.Contains(err.Error(), "messages") {
			t.Errorf("a million %s: %v", name, err)
		}
	}
	varints := ofMetrics(sub(2, str(1, "e"), sub(10, sub(1, sub(8, appendBytes(nil, 2, make([]byte, (freeMessages+1)*integersInMessage)))))))
	if _, err := CheckMetrics(nil, varints, all); err == nil {
		t.Error("as many numbers as may be make no limit")
	}
	if _, err := CheckMetrics(varints, varints, all); err != nil {
		t.Errorf("as many as it replaces: %v", err)
	}
}

// readsTheSame says why a request that has passed would not pass as another library reads it: one that takes, as
// hosts do, the last of fields that are not repeated, and knows one more member of AnyValue.
func readsTheSame(out []byte, traces bool) error {
	var m proto.Message = &metrics.MetricsData{}
	check := CheckMetrics
	if traces {
		m, check = &trace.TracesData{}, CheckTraces
	}
	if err := proto.Unmarshal(out, m); err != nil {
		if strings.Contains(err.Error(), "UTF-8") { // C does not care
			return nil
		}
		return err
	}
	again, err := proto.Marshal(m)
	if err != nil {
		return err
	}
	left, err := check(out, again, all)
	if err == nil && string(left) != string(again) {
		return fmt.Errorf("%x is left of it as %x", left, again)
	}
	return err
}

// Of any bytes the checks end, what they leave is what they take, and another library reads the same.
func FuzzCheck(f *testing.F) {
	f.Add(ofMetrics(gaugeOf(point(labels(3)...))), false)
	f.Add(ofTraces(sub(2, attr(9, "a", nested(3)))), true)
	f.Add(someMetrics, false)
	f.Add(someSpans, true)
	f.Fuzz(func(t *testing.T, request []byte, traces bool) {
		checkTwice(t, request, traces)
	})
}

// checkTwice returns whether something of a request passes.
func checkTwice(t *testing.T, request []byte, traces bool) bool {
	t.Helper()
	check := CheckMetrics
	if traces {
		check = CheckTraces
	}
	out, err := check(request, request, all)
	if err != nil || len(out) == 0 {
		return false
	}
	again, err := check(request, out, all)
	if err != nil || string(again) != string(out) {
		t.Fatalf("%x becomes %x, and then %x: %v", request, out, again, err)
	}
	if err := readsTheSame(out, traces); err != nil {
		t.Fatalf("%x becomes %x, which does not pass as another library reads it: %v", request, out, err)
	}
	return true
}

// Requests with a field of each kind.
var (
	someMetrics = ofMetrics(
		gaugeOf(point(labels(3)...), point(fixed(3, 1), num(8, 1), attr(7, "l", num(2, 1)))),
		sub(2, str(1, "h"), str(2, "d"), str(3, "s"), sub(9, sub(1, attr(9, "a", num(3, 4)), fixed(7, 1), fixed(6, 1), fixed(6, 2), dbl(5, 1)))),
		sub(2, str(1, "s"), sub(11, sub(1, sub(6, dbl(1, 0.5), dbl(2, 1))), sub(1, sub(6, dbl(1, 0.5), dbl(2, 2))))),
		sub(2, str(1, "e"), sub(10, sub(1, num(6, 3), sub(8, num(1, 1), str(2, "\x01\x02"))))))
	someSpans = ofTraces(sub(2, str(1, "0123456789abcdef"), str(5, "n"), num(6, 2), fixed(7, 1), word32(16, 1), attr(9, "a", nested(2)),
		attr(9, "b", sub(6, attr(1, "c", str(7, "x")))), sub(11, fixed(1, 1), str(2, "e")), sub(13, str(1, "t"), attr(4, "d", dbl(4, 1))), sub(15, str(2, "m"), num(3, 2))))
)

// The same of requests that are nearly right.
func TestMutated(t *testing.T) {
	for name, of := range map[string]struct {
		m      *message
		seed   []byte
		traces bool
	}{"metrics": {metricsRequest, someMetrics, false}, "traces": {tracesRequest, someSpans, true}} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			passed := 0
			for range 10_000 {
				list := parse(of.m, of.seed, 100)
				for range 1 + r.IntN(3) {
					list = mutate(r, of.m, list)
				}
				if checkTwice(t, write(list), of.traces) {
					passed++
				}
			}
			if passed < 1_000 {
				t.Errorf("%d of them pass", passed)
			}
		})
	}
}
