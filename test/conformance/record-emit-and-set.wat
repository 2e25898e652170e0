;; What is emitted without a time or metadata has those that the record has when the function returns.
;; chunk: [{"time": [5, 6], "metadata": {"m": [1, "x"]}, "body": {"a": 1}}]
;; out: [{"time": [7, 8], "metadata": {"y": 1}, "body": {"a": 1}},
;;   {"time": [7, 8], "metadata": {"y": 1}, "body": {"n": 1}}]
(module
  (import "flb_v1" "emit" (func $emit (param i32 i32 i32 i32 i64 i32) (result i32)))
  (import "flb_v1" "metadata_set" (func $metadata_set (param i32 i32) (result i32)))
  (import "flb_v1" "time_set" (func $time_set (param i64 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "{\22n\22:1}")
  (data (i32.const 48) "{\22y\22:1}")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (if (i32.ne (call $emit (i32.const 16) (i32.const 7) (i32.const 0) (i32.const 0) (i64.const -1) (i32.const 0)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (call $time_set (i64.const 7) (i32.const 8)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (call $metadata_set (i32.const 48) (i32.const 7)) (i32.const 0)) (then (unreachable)))
    (local.get $record)))
