package flb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go/internal/sys"
)

var buffer = make([]byte, 256)

// fetch has a host function write into a buffer, which is as large as need be.
func fetch(function func(to unsafe.Pointer, room uint32) int32) (string, bool) {
	for {
		n := int(function(unsafe.Pointer(&buffer[0]), uint32(len(buffer))))
		if n < 0 {
			return "", false
		}
		if n <= len(buffer) {
			return string(buffer[:n]), true
		}
		buffer = make([]byte, n)
	}
}

// Config is the configuration: what the user has set as config.KEY, and in config_file. Upper and lower
// case are the same in a key.
var Config config

type config struct{}

// Get returns the value of a key, and whether it is set.
func (config) Get(key string) (string, bool) {
	return fetch(func(to unsafe.Pointer, room uint32) int32 { return sys.ConfigGet(key, to, room) })
}

// GetOr returns the value of a key, or the default.
func (c config) GetOr(key, byDefault string) string {
	if value, ok := c.Get(key); ok {
		return value
	}
	return byDefault
}

// Require returns the value of a key, or an error that says what to set it to.
func (c config) Require(key, what string) (string, error) {
	value, ok := c.Get(key)
	if !ok {
		return "", errors.New("config." + key + ": set it to " + what)
	}
	return value, nil
}

// ParseOr returns the value of a key, as read by a function such as [strconv.ParseBool], [strconv.Atoi]
// or [time.ParseDuration]; the default if it is not set, and an error with the key and the value if it
// can't be read.
func ParseOr[T any](key string, byDefault T, parse func(string) (T, error)) (T, error) {
	text, ok := Config.Get(key)
	if !ok {
		return byDefault, nil
	}
	value, err := parse(strings.TrimSpace(text))
	if err != nil {
		if number := (*strconv.NumError)(nil); errors.As(err, &number) {
			err = number.Err
		}
		return byDefault, errors.New("config." + key + " is '" + text + "': " + err.Error())
	}
	return value, nil
}

// Keys returns the keys that are set, in lower case and in order.
func (config) Keys() (keys []string) {
	for i := uint32(0); ; i++ {
		key, ok := fetch(func(to unsafe.Pointer, room uint32) int32 { return sys.ConfigKey(i, to, room) })
		if !ok {
			return keys
		}
		keys = append(keys, key)
	}
}

// Level is a level of Fluent Bit's log.
type Level uint32

const (
	LevelError Level = iota + 1
	LevelWarn
	LevelInfo
	LevelDebug
	LevelTrace
)

// Enabled says whether lines of that level reach the log.
func Enabled(level Level) bool { return sys.LogEnabled(uint32(level)) == 1 }

// Log writes a line to Fluent Bit's log. The host takes 16 KiB of it, and 100 lines in 10 s.
func Log(level Level, text string) { sys.Log(uint32(level), text) }

// Logf writes a line to Fluent Bit's log, formatted as by [fmt.Sprintf] if it gets there.
func Logf(level Level, format string, args ...any) {
	if Enabled(level) {
		Log(level, fmt.Sprintf(format, args...))
	}
}

// Counter is a metric that only grows. Fluent Bit's log has metrics at the end, and flb-wasmtime run
// --metrics writes them. Define them when the filter is configured. Labels are given in the order of
// their names, all of them. A name or label that Prometheus does not allow is a trap.
type Counter struct{ id int32 }

// Gauge is a metric that grows and shrinks.
type Gauge struct{ id int32 }

// Histogram is a metric that has how many values there are up to each of some bounds.
type Histogram struct{ id int32 }

func define(kind int32, name, help string, labels []string, buckets []float64) int32 {
	return sys.MetricDefine(kind, name, help, strings.Join(labels, ","), unsafe.Pointer(unsafe.SliceData(buckets)), uint32(len(buckets)))
}

// NewCounter defines a counter with labels of these names, or finds the one that is defined the same.
func NewCounter(name, help string, labels ...string) Counter {
	return Counter{define(1, name, help, labels, nil)}
}

// NewGauge defines a gauge with labels of these names, or finds the one that is defined the same.
func NewGauge(name, help string, labels ...string) Gauge {
	return Gauge{define(2, name, help, labels, nil)}
}

// NewHistogram defines a histogram by the upper ends of its buckets, 1 to 64 that ascend.
func NewHistogram(name, help string, buckets []float64, labels ...string) Histogram {
	return Histogram{define(3, name, help, labels, buckets)}
}

var labelBytes []byte

// change has a function change the series of these labels.
func change(function func(int32, float64, unsafe.Pointer, uint32) int32, metric int32, value float64, labels []string) {
	labelBytes = labelBytes[:0]
	for _, label := range labels {
		labelBytes = binary.LittleEndian.AppendUint32(labelBytes, uint32(len(label)))
		labelBytes = append(labelBytes, label...)
	}
	function(metric, value, unsafe.Pointer(unsafe.SliceData(labelBytes)), uint32(len(labelBytes)))
}

// Add adds to the counter of these labels.
func (c Counter) Add(n float64, labels ...string) { change(sys.MetricAdd, c.id, n, labels) }

// Add adds to the gauge of these labels.
func (g Gauge) Add(n float64, labels ...string) { change(sys.MetricAdd, g.id, n, labels) }

// Set sets the gauge of these labels.
func (g Gauge) Set(value float64, labels ...string) { change(sys.MetricSet, g.id, value, labels) }

// Observe counts a value.
func (h Histogram) Observe(value float64, labels ...string) {
	change(sys.MetricObserve, h.id, value, labels)
}

// Store is the key-value store, which all instances of the filter share, and which ends with it. A
// filter that uses it needs store_limit.
var Store store

type store struct{}

// How long a key lives from now on, if not for so long: in milliseconds, and at least one.
const (
	Forever time.Duration = 0  // until it is deleted
	Keep    time.Duration = -1 // as long as it would have
)

func milliseconds(ttl time.Duration) int64 {
	if ttl <= 0 {
		return int64(max(ttl, Keep))
	}
	return max(ttl.Milliseconds(), 1)
}

// ErrFull says that there is no room in the store, or that a key or value is longer than 1,024 bytes and
// 1 MiB.
var ErrFull = errors.New("there is no room in the store: see store_limit")

func full(result int32) error {
	if result < 0 {
		return ErrFull
	}
	return nil
}

// Get returns the value of a key, and whether it is there.
func (store) Get(key string) ([]byte, bool) {
	value, ok := fetch(func(to unsafe.Pointer, room uint32) int32 { return sys.StoreGet(key, to, room) })
	return []byte(value), ok
}

// Set sets a key, for so long: [Forever], [Keep], or a time.
func (store) Set(key string, value []byte, ttl time.Duration) error {
	return full(sys.StoreSet(key, unsafe.Pointer(unsafe.SliceData(value)), uint32(len(value)), milliseconds(ttl)))
}

// Delete deletes a key, and says whether it was there.
func (store) Delete(key string) bool { return sys.StoreDelete(key) == 1 }

var sum int64

// Add adds to a counter, and returns what it is then. The ttl counts if the key is new. A key that has a
// value of another length than 8 bytes is a trap.
func (store) Add(key string, n int64, ttl time.Duration) (int64, error) {
	err := full(sys.StoreAdd(key, n, milliseconds(ttl), unsafe.Pointer(&sum)))
	return sum, err
}

// CompareAndSet sets a key if its value is old, or with nil if it is not there; it says whether it was
// so.
func (store) CompareAndSet(key string, old, value []byte, ttl time.Duration) (bool, error) {
	length := int32(-1)
	if old != nil {
		length = int32(len(old))
	}
	result := sys.StoreCAS(key, unsafe.Pointer(unsafe.SliceData(old)), length, unsafe.Pointer(unsafe.SliceData(value)), uint32(len(value)), milliseconds(ttl))
	return result == 1, full(result)
}

// Table is a table that the user has set as table.NAME: a CSV, JSON or MaxMind DB file.
type Table struct{ id int32 }

// OpenTable opens a table, or returns an error that says to set it. Open it when the filter is
// configured.
func OpenTable(name string) (Table, error) {
	id := sys.TableOpen(name)
	if id < 0 {
		return Table{id}, errors.New("table." + name + ": set it to a .csv, .json or .mmdb file")
	}
	return Table{id}, nil
}

// Get returns as text what the path leads to in the table's value for the key: text as it is, other
// values as JSON. The path is as in docs/abi.md ("country.iso_code"), or empty for the whole value.
func (t Table) Get(key, path string) (string, bool) {
	return fetch(func(to unsafe.Pointer, room uint32) int32 { return sys.TableGet(t.id, key, path, 2, to, room) })
}

// GetValue returns the same as a value, to be read or put into a record; missing if there is none.
func (t Table) GetValue(key, path string) Value {
	value, _ := fetch(func(to unsafe.Pointer, room uint32) int32 { return sys.TableGet(t.id, key, path, 1, to, room) })
	return Value{value}
}
