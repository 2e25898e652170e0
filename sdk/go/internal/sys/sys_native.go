//go:build !wasm

package sys

import "unsafe"

// Outside of WebAssembly package flbtest is the host.
var (
	Log           func(level uint32, text string)
	LogEnabled    func(level uint32) int32
	EmitInTick    func(tag, body, metadata string, sec int64, nsec uint32) int32
	ConfigGet     func(key string, to unsafe.Pointer, room uint32) int32
	ConfigKey     func(i uint32, to unsafe.Pointer, room uint32) int32
	TableOpen     func(name string) int32
	TableGet      func(table int32, key, path string, format int32, to unsafe.Pointer, room uint32) int32
	StoreGet      func(key string, to unsafe.Pointer, room uint32) int32
	StoreSet      func(key string, value unsafe.Pointer, valueLen uint32, ttl int64) int32
	StoreDelete   func(key string) int32
	StoreAdd      func(key string, n, ttl int64, result unsafe.Pointer) int32
	StoreCAS      func(key string, old unsafe.Pointer, oldLen int32, value unsafe.Pointer, valueLen uint32, ttl int64) int32
	MetricDefine  func(kind int32, name, help, labels string, buckets unsafe.Pointer, count uint32) int32
	MetricAdd     func(metric int32, value float64, labels unsafe.Pointer, labelsLen uint32) int32
	MetricSet     func(metric int32, value float64, labels unsafe.Pointer, labelsLen uint32) int32
	MetricObserve func(metric int32, value float64, labels unsafe.Pointer, labelsLen uint32) int32
)

// What package flb has for flbtest: it configures a filter, runs one on a batch, and reads a value.
var (
	Start func(configure any) (any, error)
	Run   func(handler any, input string) *Reply
	Value func(messagePack string) any
)
