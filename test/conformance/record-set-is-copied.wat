;; What is set or emitted is copied at the call.
;; chunk: [{"time": [5, 6], "metadata": {"m": [1, "x"]}, "body": {"a": 1}}]
;; out: [{"time": [5, 6], "metadata": {"n": 2}, "body": {"a": 1}},
;;   {"time": [1, 2], "metadata": {"n": 2}, "body": {"b": 2}}]
(module
  (import "flb_v1" "metadata_set" (func $metadata_set (param i32 i32) (result i32)))
  (import "flb_v1" "emit" (func $emit (param i32 i32 i32 i32 i64 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "{\22n\22:2}")
  (data (i32.const 32) "{\22b\22:2}")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (if (i32.ne (call $metadata_set (i32.const 16) (i32.const 7)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (call $emit (i32.const 32) (i32.const 7) (i32.const 16) (i32.const 7) (i64.const 1) (i32.const 2)) (i32.const 0)) (then (unreachable)))
    (memory.fill (i32.const 16) (i32.const 120) (i32.const 32))
    (local.get $record)))
