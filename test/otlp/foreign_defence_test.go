package otlp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// What a Forward client sends as metrics or traces need not be made as a decoder of OTLP makes it.

// pairs is a map, in order.
type pairs []any

// pack appends MessagePack.
func pack(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, 0xc0)
	case int:
		return binary.BigEndian.AppendUint32(append(b, 0xce), uint32(v))
	case float64:
		return binary.BigEndian.AppendUint64(append(b, 0xcb), math.Float64bits(v))
	case string:
		return append(binary.BigEndian.AppendUint16(append(b, 0xda), uint16(len(v))), v...)
	case []byte:
		return append(binary.BigEndian.AppendUint32(append(b, 0xc6), uint32(len(v))), v...)
	case []any:
		b = binary.BigEndian.AppendUint16(append(b, 0xdc), uint16(len(v)))
		for _, e := range v {
			b = pack(b, e)
		}
		return b
	case pairs:
		b = binary.BigEndian.AppendUint16(append(b, 0xde), uint16(len(v)/2))
		for _, e := range v {
			b = pack(b, e)
		}
		return b
	}
	panic("no MessagePack")
}

// foreignMetrics are a gauge a_b_c with one sample.
func foreignMetrics(external pairs, names []any, labels ...any) pairs {
	sample := pairs{"ts", 1, "value", 1.0, "hash", 0}
	if len(labels) > 0 {
		sample = append(sample, "labels", labels)
	}
	return pairs{
		"meta", pairs{"cmetrics", pairs{}, "external", external, "processing", pairs{"static_labels", []any{}}},
		"metrics", []any{pairs{
			"meta", pairs{"ver", 2, "type", 1, "opts", pairs{"ns", "a", "ss", "b", "name", "c", "desc", "d"}, "labels", names},
			"values", []any{sample},
		}},
	}
}

func foreignTraces(attributes any) pairs {
	return pairs{"resourceSpans", []any{pairs{
		"resource", pairs{"attributes", pairs{}, "dropped_attributes_count", 0},
		"schema_url", "",
		"scope_spans", []any{pairs{
			"scope", pairs{"name", "n", "version", "v", "attributes", nil, "dropped_attributes_count", 0},
			"spans", []any{pairs{"name", "s", "attributes", attributes, "events", []any{}, "links", []any{}}},
			"schema_url", "",
		}},
	}}}
}

// nested is a map in maps.
func nested(levels int) pairs {
	m := pairs{"k", "deepest"}
	for range levels - 1 {
		m = pairs{"k", m}
	}
	return m
}

// under is a value at the end of a path of keys.
func under(v any, path ...string) pairs {
	for i := len(path) - 1; i > 0; i-- {
		v = pairs{path[i], v}
	}
	return pairs{path[0], v}
}

func described(what string, metadata pairs) pairs {
	return pairs{what, pairs{"attributes", pairs{}, "metadata", metadata}}
}

// address is a text whose bytes are no address, where that of a map would be.
var address = strings.Repeat("A", 24)

// foreign is metadata of metrics that no decoder of OTLP makes.
var foreign = map[string]pairs{
	"a scope that is a text":             under(address, "scope"),
	"a scope that is a number":           under(7, "scope"),
	"a scope in capitals":                under(7, "SCOPE"),
	"a scope that is a list":             under([]any{7}, "scope"),
	"a second scope":                     append(described("scope", pairs{}), "scope", 7),
	"a resource that is a number":        under(7, "resource"),
	"a resource without anything":        under(pairs{}, "resource"),
	"a resource without attributes":      pairs{"resource", pairs{"metadata", pairs{"a", 1}}},
	"a resource without metadata":        pairs{"resource", pairs{"attributes", pairs{"a", 1}}},
	"a resource in other letters":        pairs{"resource", pairs{"Attributes", pairs{}, "Metadata", pairs{}}},
	"attributes that are a text":         pairs{"resource", pairs{"attributes", address, "metadata", pairs{}}},
	"metadata that is a text":            pairs{"resource", pairs{"attributes", pairs{}, "metadata", address}},
	"a name that is a number":            described("scope", pairs{"name", 7}),
	"a version that is a map":            described("scope", pairs{"version", pairs{}}),
	"a count that is a text":             described("scope", pairs{"dropped_attributes_count", "A"}),
	"scope_metrics that are a number":    under(7, "scope_metrics"),
	"resource_metrics that are a text":   under(address, "resource_metrics"),
	"a schema that is a number":          under(7, "scope_metrics", "metadata", "schema_url"),
	"its metadata that is a number":      under(7, "resource_metrics", "metadata"),
	"otlp that is a text":                under(address, "otlp"),
	"metrics of it that are a number":    under(7, "otlp", "metrics"),
	"gauges of it that are a number":     under(7, "otlp", "metrics", "gauge"),
	"a gauge of it that is a number":     under(7, "otlp", "metrics", "gauge", "a_b_c"),
	"metadata of that that is a number":  under(7, "otlp", "metrics", "gauge", "a_b_c", "metadata"),
	"points of that that are a number":   under(7, "otlp", "metrics", "gauge", "a_b_c", "datapoints"),
	"a point of that that is a number":   under(7, "otlp", "metrics", "gauge", "a_b_c", "datapoints", "0:1"),
	"an exemplar of wrong attributes":    under([]any{under(7, "filtered_attributes")}, "otlp", "metrics", "gauge", "a_b_c", "datapoints", "0:1", "exemplars"),
	"a listed resource that is a number": under([]any{under(7, "resource")}, "resource_metrics_list"),
	"a listed scope that is a number":    under([]any{under([]any{under(7, "scope")}, "scope_metrics_list")}, "resource_metrics_list"),
}

// forward sends a payload by the Forward protocol, and waits until it has been taken.
func forward(address, signal string, payload pairs) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(deadline)); err != nil {
		return err
	}
	number := map[string]int{"metrics": 1, "traces": 2}[signal]
	if _, err := c.Write(pack(nil, []any{"tag", pack(nil, payload), pairs{"fluent_signal", number, "chunk", "c"}})); err != nil {
		return err
	}
	var ack [64]byte
	n, err := c.Read(ack[:])
	if err == nil && !bytes.Contains(ack[:n], []byte("ack")) {
		return fmt.Errorf("it answers %q", ack[:n])
	}
	return err
}

// sent is a payload of a Forward client.
type sent struct {
	name    string
	payload pairs
	fails   bool
}

// Fluent Bit lives, and the payload passes the guest by, where the host's encoder would take something for what it
// is not.
func TestForeign(t *testing.T) {
	var metadata []sent
	for _, name := range slices.Sorted(maps.Keys(foreign)) {
		metadata = append(metadata, sent{name, foreignMetrics(foreign[name], []any{}), true})
	}
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		for name, test := range map[string]struct {
			signal string
			list   []sent
			since  string // the version that decodes it
			why    string
		}{
			"metadata": {signal: "metrics", why: "is not what the encoder takes it for", list: append(metadata,
				sent{"an ordinary one", foreignMetrics(described("resource", pairs{"dropped_attributes_count", 1}), []any{"l"}, "v"), false},
			)},
			"nil": {signal: "metrics", since: "5.1", why: "is not what the encoder takes it for", list: []sent{
				{"an attribute", foreignMetrics(pairs{"scope", pairs{"attributes", pairs{"a", nil}, "metadata", pairs{}}}, []any{}), true},
				{"in a list", foreignMetrics(pairs{"scope", pairs{"attributes", pairs{"a", []any{nil}}, "metadata", pairs{}}}, []any{}), true},
			}},
			"depth": {signal: "metrics", why: "nests deeper than 64", list: []sent{
				{"70", foreignMetrics(pairs{"resource", pairs{"attributes", nested(70), "metadata", pairs{}}}, []any{}), true},
				{"40", foreignMetrics(pairs{"resource", pairs{"attributes", nested(40), "metadata", pairs{}}}, []any{}), false},
			}},
			"labels": {signal: "metrics", why: "more labels than", list: []sent{
				{"without a name", foreignMetrics(pairs{}, []any{}, "v"), true},
				{"one name", foreignMetrics(pairs{}, []any{"l"}, "v", "w"), true},
				{"more names", foreignMetrics(pairs{}, []any{"l", "m"}, "v"), false},
			}},
			"traces": {signal: "traces", why: "nests deeper than 64", list: []sent{
				{"70", foreignTraces(nested(70)), true},
				{"40", foreignTraces(nested(40)), false},
				{"without attributes", foreignTraces(nil), false},
			}},
		} {
			if test.since > fb.version {
				continue
			}
			t.Run(name, func(t *testing.T) {
				port := freePort(t)
				p := launch(t, fb, setup{options: guestDoes("keep"), sink: true,
					inputs: "    - name: forward\n      listen: 127.0.0.1\n      port: " + port + "\n%s"})
				p.url = "http://127.0.0.1:" + port
				p.wait("the input", p.listens)
				failed := 0
				for _, s := range test.list {
					if s.fails {
						failed++
					}
					if err := forward("127.0.0.1:"+port, test.signal, s.payload); err != nil {
						t.Fatalf("%s: %v", s.name, err)
					}
				}
				p.stop()
				counted(t, p.log.String(), test.signal, len(test.list)-failed, 0, 0, failed)
				if !strings.Contains(p.log.String(), test.why) {
					t.Errorf("the log does not say %q", test.why)
				}
			})
		}
	})
}
