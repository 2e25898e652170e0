package otlp

import (
	stdbytes "bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Host is what the decoders of a host know. The zero value is what all of them do.
type Host struct {
	ExponentialHistograms bool // else they are left out without a word
	SignedIntegers        bool // of data points; else negative ones become 0
	ScopeAttributes       bool // of metrics; else the encoder frees what it must not
	ScopelessSpans        bool // else the encoder follows a NULL
}

const (
	// maxDepth bounds how deep messages nest, of which the decoder uses the host's stack. Attributes nest
	// two for each level.
	maxDepth = 100

	// Decoders hold labels in lists, which they go through for each one.
	maxLabels = 127

	// What is decoded has far more bytes than the request, and data points are looked for in lists: a
	// replacement may have so many messages, or twice as many as what it replaces.
	freeMessages = 250_000
	freePoints   = 10_000

	integersInMessage = 32 // so many numbers of a list count as one message
	integersInField   = 8  // and a field that is not known, or of a list of numbers, as so many numbers
)

// CheckMetrics says why a request can't take the place of another, was, in that host: which would not decode
// it, or would lose something. It returns what is to be decoded: the request without metrics that have no
// data points. Nothing is left if that is empty.
func CheckMetrics(was, request []byte, host Host) ([]byte, error) {
	c := newChecker(metricsRequest, was, host)
	if err := c.walk(metricsRequest, request); err != nil {
		return nil, err
	}
	switch {
	case c.full == 0:
		return nil, nil
	case c.resources > 1 || c.scopes > 1:
		return merged(request)
	case c.empty > 0:
		return withoutEmpty(metricsRequest, request), nil
	}
	return request, nil
}

// merged is a checked request of metrics with one ResourceMetrics of one ScopeMetrics, if all that have data
// points are of the same resource and scope, byte for byte.
func merged(request []byte) ([]byte, error) {
	var resource, scope, metrics []byte
	resources, scopes := 0, 0
	each(request, 1, func(rm []byte) {
		of, list := split(rm, 2)
		first := true
		for _, sm := range list {
			named, all := split(withoutEmpty(scopeMetrics, sm), 2)
			if len(all) == 0 {
				continue
			}
			newResource := resources == 0 || first && !stdbytes.Equal(of, resource)
			if newResource {
				resources++
			}
			if newResource || !stdbytes.Equal(named, scope) {
				scopes++
			}
			first = false
			resource, scope = of, named
			for _, metric := range all {
				metrics = appendBytes(metrics, 2, metric)
			}
		}
	})
	if resources > 1 || scopes > 1 {
		return nil, fmt.Errorf("it has metrics of %d resources and %d scopes: Fluent Bit holds those of one resource and one scope in a payload; what tells them apart can be labels", resources, scopes)
	}
	return appendBytes(nil, 1, appendBytes(resource[:len(resource):len(resource)], 2, append(scope, metrics...))), nil
}

// split returns the fields of a message but those of that number, and what is in these. The message has been
// checked.
func split(b []byte, number int) (others []byte, of [][]byte) {
	for len(b) > 0 {
		f, rest, _ := next(b)
		if f.number == number {
			of = append(of, f.bytes)
		} else {
			others = append(others, b[:len(b)-len(rest)]...)
		}
		b = rest
	}
	return others, of
}

// CheckTraces is CheckMetrics for traces. Nothing is left if there are no ResourceSpans.
func CheckTraces(was, request []byte, host Host) ([]byte, error) {
	c := newChecker(tracesRequest, was, host)
	if err := c.walk(tracesRequest, request); err != nil {
		return nil, err
	}
	if c.resources == 0 {
		return nil, nil
	}
	return request, nil
}

// checker goes through a request.
type checker struct {
	host   Host
	fields []field // of the messages that it is in

	depth                   int
	messages, maxMessages   int
	points, maxPoints       int // data points and metrics
	numbers                 int // in lists, and what counts as them
	resources, scopes, full int
	empty                   int // metrics without data points
	pointsBefore            int // the metric
	bounds, quantiles       []byte
	bounded, quantified     bool
	negative                bool           // an integer
	labels                  map[string]int // of the metric: the last point that has it, from 1
	point                   int
	pointQuantiles          []byte
	value                   int // the number of the field of the AnyValue that was checked last
}

// newChecker makes one for what takes the place of a request of that type.
func newChecker(m *message, was []byte, host Host) *checker {
	c := &checker{host: host, maxMessages: freeMessages, maxPoints: freePoints, labels: map[string]int{}, point: 1}
	messages, numbers := count(m, was, maxDepth)
	if n := messages + numbers/integersInMessage; n > freeMessages/2 {
		c.maxMessages = 2 * n
	}
	if n := countPoints(was); m == metricsRequest && n > freePoints/2 {
		c.maxPoints = 2 * n
	}
	return c
}

// count is how many messages a request has, and numbers, both as walk counts them, as far as it can be read.
func count(m *message, b []byte, depth int) (messages, numbers int) {
	messages = 1
	for len(b) > 0 && depth > 0 {
		f, rest, err := next(b)
		if err != nil {
			break
		}
		member, known := m.fields[f.number]
		numbers += numbersOf(member, known)
		switch {
		case member.kind == integers && f.wire == bytes:
			n, _ := countNumbers(f.bytes)
			numbers += n
		case member.of != nil && f.wire == bytes:
			in, n := count(member.of, f.bytes, depth-1)
			messages += in
			numbers += n
		}
		b = rest
	}
	return messages, numbers
}

// numbersOf is what a field counts as, beside the numbers in it.
func numbersOf(of member, known bool) int {
	if !known || of.kind == quads || of.kind == integers {
		return integersInField
	}
	return 0
}

// countPoints is how many metrics and data points one of metrics has.
func countPoints(request []byte) (n int) {
	each(request, 1, func(rm []byte) {
		each(rm, 2, func(sm []byte) {
			each(sm, 2, func(metric []byte) {
				n += 1 + pointsOf(metric)
			})
		})
	})
	return n
}

// pointsOf is how many data points a metric has.
func pointsOf(metric []byte) (n int) {
	for _, data := range []int{5, 7, 9, 10, 11} {
		each(metric, data, func(data []byte) { each(data, 1, func([]byte) { n++ }) })
	}
	return n
}

// each calls do for all fields of that number that are messages.
func each(b []byte, number int, do func([]byte)) {
	for len(b) > 0 {
		f, rest, err := next(b)
		if err != nil {
			return
		}
		if f.number == number && f.wire == bytes {
			do(f.bytes)
		}
		b = rest
	}
}

// withoutEmpty leaves out metrics without data points. The request has been checked.
func withoutEmpty(m *message, b []byte) []byte {
	var out []byte
	for len(b) > 0 {
		f, rest, _ := next(b)
		raw := b[:len(b)-len(rest)]
		b = rest
		switch of := m.fields[f.number].of; of {
		case metric:
			if pointsOf(f.bytes) > 0 {
				out = append(out, raw...)
			}
		case resourceMetrics, scopeMetrics:
			out = appendBytes(out, f.number, withoutEmpty(of, f.bytes))
		default:
			out = append(out, raw...)
		}
	}
	return out
}

// walk checks a message and what is in it.
func (c *checker) walk(m *message, b []byte) error {
	c.messages++
	if err := c.countMessages(); err != nil {
		return err
	}
	if c.depth == maxDepth {
		return fmt.Errorf("it nests more than %d messages", maxDepth)
	}
	c.depth++
	defer func() { c.depth-- }()
	switch m {
	case resourceMetrics, resourceSpans:
		c.resources++
	case scopeMetrics:
		c.scopes++
	}
	begin := len(c.fields)
	defer func() { c.fields = c.fields[:begin] }()
	var seen uint32
	chosen := false
	for len(b) > 0 {
		f, rest, err := next(b)
		if err != nil {
			return fmt.Errorf("in %s: %w", m.name, err)
		}
		b = rest
		member, known := m.fields[f.number]
		if n := numbersOf(member, known); n > 0 {
			c.numbers += n
			if err := c.countMessages(); err != nil {
				return err
			}
		}
		if !known {
			if m.closed {
				return fmt.Errorf("%s has field %d, which Fluent Bit does not hold", m.name, f.number)
			}
			continue
		}
		// Decoders take the last one, or join messages.
		if !member.kind.repeated() && seen&(1<<f.number) != 0 || member.kind == choice && chosen {
			return fmt.Errorf("%s has field %d, or one in its place, twice", m.name, f.number)
		}
		seen |= 1 << f.number
		chosen = chosen || member.kind == choice
		if err := c.field(m, member, f); err != nil {
			return err
		}
		c.fields = append(c.fields, f)
	}
	if m.check != nil {
		return m.check(c, c.fields[begin:])
	}
	return nil
}

// field checks one field, and what is in it.
func (c *checker) field(m *message, member member, f field) error {
	ok := false
	switch member.kind {
	case text:
		if ok = f.wire == bytes; ok && stdbytes.IndexByte(f.bytes, 0) >= 0 {
			return fmt.Errorf("%s has a text with a NUL in field %d", m.name, f.number)
		}
	case blob, one, many:
		ok = f.wire == bytes
	case integer:
		ok = f.wire == varint
	case quad:
		ok = f.wire == fixed64
	case word:
		ok = f.wire == fixed32
	case quads:
		ok = f.wire == fixed64 || f.wire == bytes && len(f.bytes)%8 == 0
	case integers:
		ok = f.wire == varint
		if f.wire == bytes {
			var n int
			n, ok = countNumbers(f.bytes)
			c.numbers += n
		}
		if err := c.countMessages(); err != nil {
			return err
		}
	case choice:
		ok = f.wire == member.wire
	}
	if !ok {
		return fmt.Errorf("field %d of %s has another type", f.number, m.name)
	}
	if member.of != nil {
		return c.walk(member.of, f.bytes)
	}
	return nil
}

func (c *checker) countMessages() error {
	if c.messages+c.numbers/integersInMessage > c.maxMessages {
		return fmt.Errorf("it has more than %d messages", c.maxMessages)
	}
	return nil
}

// countNumbers is how many varints are in a list; false: it is none of varints.
func countNumbers(list []byte) (n int, ok bool) {
	for len(list) > 0 {
		_, size := binary.Uvarint(list)
		if size <= 0 {
			return n, false
		}
		n++
		list = list[size:]
	}
	return n, true
}

// find returns the field of that number, which is not repeated.
func find(values []field, number int) (field, bool) {
	for _, f := range values {
		if f.number == number {
			return f, true
		}
	}
	return field{}, false
}

func checkAnyValue(c *checker, values []field) error {
	if len(values) == 0 {
		return errors.New("a value is empty (AnyValue has none of its fields): Fluent Bit can't hold it")
	}
	if values[0].number == 1 && stdbytes.IndexByte(values[0].bytes, 0) >= 0 {
		return errors.New("a value is a text with a NUL")
	}
	c.value = values[0].number
	return nil
}

func checkKeyValue(_ *checker, values []field) error {
	if _, ok := find(values, 2); !ok {
		return fmt.Errorf("attribute %s has no value", keyOf(values))
	}
	return nil
}

// keyOf quotes the key of a KeyValue.
func keyOf(values []field) string {
	f, _ := find(values, 1)
	return fmt.Sprintf("%.64q", f.bytes)
}

func checkAttribute(c *checker, values []field) error {
	if err := checkKeyValue(c, values); err != nil {
		return err
	}
	if c.value == 7 {
		return fmt.Errorf("attribute %s is bytes, which Fluent Bit has only inside of lists and maps", keyOf(values))
	}
	return nil
}

func checkLabel(c *checker, values []field) error {
	if err := checkKeyValue(c, values); err != nil {
		return err
	}
	switch c.value {
	case 1, 2, 3, 4:
	default:
		return fmt.Errorf("label %s of a data point is neither text nor a number nor a truth value", keyOf(values))
	}
	f, _ := find(values, 1)
	key := string(f.bytes)
	if c.labels[key] == c.point {
		return fmt.Errorf("a data point has label %s twice", keyOf(values))
	}
	c.labels[key] = c.point
	if len(c.labels) > maxLabels {
		return fmt.Errorf("the data points of a metric have more than %d labels", maxLabels)
	}
	return nil
}

func checkPoint(c *checker, _ []field) error {
	c.point++
	return c.countPoint()
}

func (c *checker) countPoint() error {
	if c.points++; c.points > c.maxPoints {
		return fmt.Errorf("it has more than %d metrics and data points", c.maxPoints)
	}
	return nil
}

func checkNumberPoint(c *checker, values []field) error {
	_, double := find(values, 4)
	f, integer := find(values, 6)
	if !double && !integer {
		return errors.New("a data point has no value")
	}
	c.negative = c.negative || integer && int64(f.value) < 0
	return checkPoint(c, values)
}

// joined is what a list of 8-byte numbers has in all.
func joined(values []field, number int) (list []byte) {
	for _, f := range values {
		switch {
		case f.number != number:
		case f.wire == bytes:
			list = append(list, f.bytes...)
		default:
			list = binary.LittleEndian.AppendUint64(list, f.value)
		}
	}
	return list
}

// same says whether a list is that of the first data point of the metric.
func same(first *[]byte, known *bool, list []byte) bool {
	if !*known {
		*first, *known = append((*first)[:0], list...), true
	}
	return stdbytes.Equal(*first, list)
}

func checkHistogramPoint(c *checker, values []field) error {
	bounds, counts := joined(values, 7), joined(values, 6)
	if len(counts) != len(bounds)+8 && len(counts)+len(bounds) > 0 {
		return fmt.Errorf("a histogram has %d bounds and %d buckets", len(bounds)/8, len(counts)/8)
	}
	if !same(&c.bounds, &c.bounded, bounds) {
		return errors.New("the data points of a histogram differ in their bounds")
	}
	return checkPoint(c, values)
}

func checkQuantile(c *checker, values []field) error {
	f, _ := find(values, 1)
	c.pointQuantiles = binary.LittleEndian.AppendUint64(c.pointQuantiles, f.value)
	return nil
}

func checkSummaryPoint(c *checker, values []field) error {
	ok := same(&c.quantiles, &c.quantified, c.pointQuantiles)
	c.pointQuantiles = c.pointQuantiles[:0]
	if !ok {
		return errors.New("the data points of a summary differ in their quantiles")
	}
	return checkPoint(c, values)
}

func checkMetric(c *checker, values []field) error {
	name, _ := find(values, 1)
	if len(name.bytes) == 0 {
		return errors.New("a metric has no name")
	}
	data, monotonic := 0, false
	for _, f := range values {
		if f.number >= 5 && f.number <= 11 {
			data, monotonic = f.number, f.number == 7 && isMonotonic(f.bytes)
		}
	}
	switch {
	case data == 0:
		return fmt.Errorf("metric %.64q is none of the types that there are", name.bytes)
	case data == 10 && !c.host.ExponentialHistograms:
		return fmt.Errorf("metric %.64q is an exponential histogram, which this Fluent Bit does not read", name.bytes)
	case c.negative && (!c.host.SignedIntegers || monotonic):
		return fmt.Errorf("metric %.64q has a negative integer, of which Fluent Bit would make 0: give it as a double", name.bytes)
	}
	if c.points == c.pointsBefore {
		c.empty++
	} else {
		c.full++
	}
	err := c.countPoint()
	c.pointsBefore = c.points
	c.bounded, c.quantified, c.negative = false, false, false
	clear(c.labels)
	return err
}

// isMonotonic says whether a sum never falls.
func isMonotonic(sum []byte) (is bool) {
	for len(sum) > 0 {
		f, rest, err := next(sum)
		if err != nil {
			break
		}
		if f.number == 3 {
			is = f.value != 0
		}
		sum = rest
	}
	return is
}

func checkScope(c *checker, values []field) error {
	if _, ok := find(values, 3); ok && !c.host.ScopeAttributes {
		return errors.New("the scope of metrics has attributes, which this Fluent Bit can't send on")
	}
	return nil
}

func checkResourceSpans(_ *checker, values []field) error {
	if _, ok := find(values, 1); !ok {
		return errors.New("ResourceSpans have no resource, which may be empty: Fluent Bit wants one")
	}
	return nil
}

func checkScopeSpans(c *checker, values []field) error {
	if _, ok := find(values, 1); !ok && !c.host.ScopelessSpans {
		return errors.New("ScopeSpans have no scope, which may be empty: this Fluent Bit wants one")
	}
	return nil
}
