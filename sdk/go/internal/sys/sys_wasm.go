package sys

import "unsafe"

//go:wasmimport flb_v1 log
//go:noescape
func Log(level uint32, text string)

//go:wasmimport flb_v1 log_enabled
func LogEnabled(level uint32) int32

//go:wasmimport flb_v1 emit_to
//go:noescape
func EmitInTick(tag, body, metadata string, sec int64, nsec uint32) int32

//go:wasmimport flb_v1 config_get
//go:noescape
func ConfigGet(key string, to unsafe.Pointer, room uint32) int32

//go:wasmimport flb_v1 config_key
//go:noescape
func ConfigKey(i uint32, to unsafe.Pointer, room uint32) int32

//go:wasmimport flb_v1 table_open
//go:noescape
func TableOpen(name string) int32

//go:wasmimport flb_v1 table_get
//go:noescape
func TableGet(table int32, key, path string, format int32, to unsafe.Pointer, room uint32) int32

//go:wasmimport flb_v1 store_get
//go:noescape
func StoreGet(key string, to unsafe.Pointer, room uint32) int32

//go:wasmimport flb_v1 store_set
//go:noescape
func StoreSet(key string, value unsafe.Pointer, valueLen uint32, ttl int64) int32

//go:wasmimport flb_v1 store_delete
//go:noescape
func StoreDelete(key string) int32

//go:wasmimport flb_v1 store_add
//go:noescape
func StoreAdd(key string, n, ttl int64, result unsafe.Pointer) int32

//go:wasmimport flb_v1 store_cas
//go:noescape
func StoreCAS(key string, old unsafe.Pointer, oldLen int32, value unsafe.Pointer, valueLen uint32, ttl int64) int32

//go:wasmimport flb_v1 metric_define
//go:noescape
func MetricDefine(kind int32, name, help, labels string, buckets unsafe.Pointer, count uint32) int32

//go:wasmimport flb_v1 metric_add
//go:noescape
func MetricAdd(metric int32, value float64, labels unsafe.Pointer, labelsLen uint32) int32

//go:wasmimport flb_v1 metric_set
//go:noescape
func MetricSet(metric int32, value float64, labels unsafe.Pointer, labelsLen uint32) int32

//go:wasmimport flb_v1 metric_observe
//go:noescape
func MetricObserve(metric int32, value float64, labels unsafe.Pointer, labelsLen uint32) int32
