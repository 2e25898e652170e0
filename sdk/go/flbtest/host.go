//go:build !wasm

package flbtest

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"
	"unsafe"

	flb "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go/internal/sys"
)

// Host is a host in memory. The zero Host has no configuration and no tables. It has no bounds but
// those of memory: no store_limit, no metrics_series.
type Host struct {
	Tag      string            // of all events; app.log unless set
	Config   map[string]string // config.KEY
	Tables   map[string]string // table.NAME, each an object of JSON
	Groups   []string          // bodies, as JSON, of groups that begin in each batch
	LogLevel flb.Level         // what is logged; LevelInfo unless set
	Lines    []string          // what has been logged, each line with its level: "[info] text"

	ticked  []Routed // by the tick that is under way
	store   map[string]entry
	now     time.Duration
	metrics []metric
}

type entry struct {
	value string
	end   time.Duration // 0: it lives for ever
}

type metric struct {
	kind   int32
	name   string
	labels string
	limits string
	series map[string]float64
}

func (h *Host) tag() string {
	if h.Tag == "" {
		return "app.log"
	}
	return h.Tag
}

// Advance lets time pass, for keys of the store, and for what ticks emit now: since 1,700,000,000 s.
func (h *Host) Advance(d time.Duration) { h.now += d }

// Metric returns a metric with these values of its labels, of a histogram how many values it has; 0 if
// there is none.
func (h *Host) Metric(name string, labels ...string) float64 {
	for _, m := range h.metrics {
		if m.name == name {
			return m.series[strings.Join(labels, "\x00")]
		}
	}
	return 0
}

// give hands bytes to a filter.
func give(value string, ok bool, to unsafe.Pointer, room uint32) int32 {
	if !ok {
		return -1
	}
	if len(value) <= int(room) {
		copy(unsafe.Slice((*byte)(to), room), value)
	}
	return int32(len(value))
}

func text(at unsafe.Pointer, n uint32) string { return string(unsafe.Slice((*byte)(at), n)) }

// lower returns the value of a key in whatever case.
func lower(m map[string]string, key string) (string, bool) {
	for k, v := range m {
		if strings.EqualFold(k, key) {
			return v, true
		}
	}
	return "", false
}

func keys(m map[string]string) (list []string) {
	for k := range m {
		list = append(list, strings.ToLower(k))
	}
	slices.Sort(list)
	return list
}

// live returns a key of the store that has not outlived its time.
func (h *Host) live(key string) (entry, bool) {
	e, ok := h.store[key]
	return e, ok && (e.end == 0 || h.now < e.end)
}

func (h *Host) set(key, value string, ttl int64) int32 {
	if len(key) > 1024 || len(value) > 1<<20 {
		return -1
	}
	before, _ := h.live(key)
	e := entry{value, before.end}
	if ttl >= 0 {
		e.end = min(time.Duration(ttl), 1<<40) * time.Millisecond
		if ttl > 0 {
			e.end += h.now
		}
	}
	if h.store == nil {
		h.store = map[string]entry{}
	}
	h.store[key] = e
	return 0
}

// change changes a series of a metric.
func change(id int32, at unsafe.Pointer, n uint32, kinds string, function func(float64) float64) int32 {
	m := current.metrics[id]
	var values []string
	for rest := text(at, n); rest != ""; {
		size := 4 + binary.LittleEndian.Uint32([]byte(rest))
		values, rest = append(values, rest[4:size]), rest[size:]
	}
	if want := len(strings.FieldsFunc(m.labels, func(r rune) bool { return r == ',' })); len(values) != want {
		panic(fmt.Sprintf("flbtest: a trap: %s has %d labels, and got %d values", m.name, want, len(values)))
	}
	if !strings.ContainsRune(kinds, '0'+m.kind) {
		panic("flbtest: a trap: " + m.name + " is a metric of another kind")
	}
	key := strings.Join(values, "\x00")
	m.series[key] = function(m.series[key])
	return 0
}

func init() {
	sys.LogEnabled = func(level uint32) int32 {
		if most := current.LogLevel; flb.Level(level) > most && (most > 0 || flb.Level(level) > flb.LevelInfo) {
			return 0
		}
		return 1
	}
	sys.Log = func(level uint32, text string) {
		if sys.LogEnabled(level) == 1 {
			names := [...]string{"error", "warn", "info", "debug", "trace"}
			current.Lines = append(current.Lines, "["+names[level-1]+"] "+text)
		}
	}
	sys.EmitInTick = func(tag, body, metadata string, sec int64, nsec uint32) int32 {
		switch t := time.Unix(sec, int64(nsec)).UTC(); {
		case current.ticked == nil:
			return -1
		case !isTag(tag):
			return -2
		case sec == -1:
			t = time.Unix(1_700_000_000, 0).Add(current.now).UTC()
			fallthrough
		default:
			current.ticked = append(current.ticked, Routed{tag, Record{Body: toJSON(body), Metadata: toJSON(metadata), Time: t}})
			return 0
		}
	}
	sys.ConfigGet = func(key string, to unsafe.Pointer, room uint32) int32 {
		value, ok := lower(current.Config, key)
		return give(value, ok, to, room)
	}
	sys.ConfigKey = func(i uint32, to unsafe.Pointer, room uint32) int32 {
		list := append(keys(current.Config), "")
		i = min(i, uint32(len(list)-1))
		return give(list[i], list[i] != "", to, room)
	}
	sys.TableOpen = func(name string) int32 { return int32(slices.Index(keys(current.Tables), strings.ToLower(name))) }
	sys.TableGet = func(table int32, key, path string, format int32, to unsafe.Pointer, room uint32) int32 {
		object, _ := lower(current.Tables, keys(current.Tables)[table])
		v := value(fromJSON(object)).Key(key)
		if path != "" {
			v = v.Get(path)
		}
		found := v.MessagePack()
		if text, ok := v.AsStr(); ok && format == 2 {
			found = text
		} else if format == 2 {
			found = asJSON(v)
		}
		return give(found, v.Exists(), to, room)
	}
	sys.StoreGet = func(key string, to unsafe.Pointer, room uint32) int32 {
		e, ok := current.live(key)
		return give(e.value, ok, to, room)
	}
	sys.StoreSet = func(key string, value unsafe.Pointer, n uint32, ttl int64) int32 {
		return current.set(key, text(value, n), ttl)
	}
	sys.StoreDelete = func(key string) int32 {
		_, ok := current.live(key)
		delete(current.store, key)
		return map[bool]int32{true: 1}[ok]
	}
	sys.StoreAdd = func(key string, n, ttl int64, result unsafe.Pointer) int32 {
		e, ok := current.live(key)
		if ok {
			ttl = -1
		} else {
			e.value = "\x00\x00\x00\x00\x00\x00\x00\x00"
		}
		if len(e.value) != 8 {
			panic("flbtest: a trap: the key has a value that is not a counter")
		}
		n += int64(binary.LittleEndian.Uint64([]byte(e.value)))
		*(*int64)(result) = n
		return current.set(key, string(binary.LittleEndian.AppendUint64(nil, uint64(n))), ttl)
	}
	sys.StoreCAS = func(key string, old unsafe.Pointer, oldLen int32, value unsafe.Pointer, n uint32, ttl int64) int32 {
		e, ok := current.live(key)
		if ok != (oldLen >= 0) || ok && e.value != text(old, uint32(oldLen)) {
			return 0
		}
		return 1 + 2*current.set(key, text(value, n), ttl)
	}
	sys.MetricDefine = func(kind int32, name, help, labels string, buckets unsafe.Pointer, n uint32) int32 {
		m := metric{kind, name, labels, fmt.Sprint(unsafe.Slice((*float64)(buckets), n)), map[string]float64{}}
		if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:") != "" || name[0] <= '9' {
			panic("flbtest: a trap: '" + name + "' is not a name of a metric")
		}
		for i, old := range current.metrics {
			if old.name == name {
				if old.kind != kind || old.labels != labels || old.limits != m.limits {
					panic("flbtest: a trap: " + name + " is defined another way already")
				}
				return int32(i)
			}
		}
		current.metrics = append(current.metrics, m)
		return int32(len(current.metrics) - 1)
	}
	sys.MetricAdd = func(id int32, value float64, labels unsafe.Pointer, n uint32) int32 {
		return change(id, labels, n, "12", func(before float64) float64 { return before + value })
	}
	sys.MetricSet = func(id int32, value float64, labels unsafe.Pointer, n uint32) int32 {
		return change(id, labels, n, "2", func(float64) float64 { return value })
	}
	sys.MetricObserve = func(id int32, _ float64, labels unsafe.Pointer, n uint32) int32 {
		return change(id, labels, n, "3", func(before float64) float64 { return before + 1 })
	}
}
