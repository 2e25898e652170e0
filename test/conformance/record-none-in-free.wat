;; In the module's free the record is not the current one any more.
;; chunk: [{"time": [5, 6], "metadata": {"m": [1, "x"]}, "body": {"a": 1}}]
;; out: "unchanged"
;; chunk: [{"time": [5, 6], "metadata": {"m": [1, "x"]}, "body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "time_get" (func $time_get (result i64)))
  (import "flb_v1" "time_set" (func $time_set (param i64 i32) (result i32)))
  (import "flb_v1" "metadata_get" (func $metadata_get (param i32 i32) (result i32)))
  (import "flb_v1" "metadata_set" (func $metadata_set (param i32 i32) (result i32)))
  (import "flb_v1" "group_get" (func $group_get (param i32 i32) (result i32)))
  (import "flb_v1" "group_set" (func $group_set (param i32 i32) (result i32)))
  (import "flb_v1" "emit" (func $emit (param i32 i32 i32 i32 i64 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "{}")
  (func (export "malloc") (param i32) (result i32) (i32.const 65536))
  (func (export "free") (param i32)
    (if (i64.ne (call $time_get) (i64.const -1)) (then (unreachable)))
    (if (i32.ne (call $time_set (i64.const 5) (i32.const 6)) (i32.const -1)) (then (unreachable)))
    (if (i32.ne (call $metadata_get (i32.const 64) (i32.const 64)) (i32.const -1)) (then (unreachable)))
    (if (i32.ne (call $metadata_set (i32.const 16) (i32.const 2)) (i32.const -1)) (then (unreachable)))
    (if (i32.ne (call $group_get (i32.const 64) (i32.const 64)) (i32.const -1)) (then (unreachable)))
    (if (i32.ne (call $group_set (i32.const 16) (i32.const 2)) (i32.const -1)) (then (unreachable)))
    (if (i32.ne (call $emit (i32.const 16) (i32.const 2) (i32.const 0) (i32.const 0) (i64.const -1) (i32.const 0)) (i32.const -1)) (then (unreachable))))
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (local.get $record)))
