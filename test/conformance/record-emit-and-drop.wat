;; A record that is dropped may be followed by those that it emits.
;; chunk: [{"time": [5, 6], "metadata": {"m": [1, "x"]}, "body": {"a": 1}}]
;; out: [{"time": [5, 6], "metadata": {"m": [1, "x"]}, "body": {"n": 1}}]
(module
  (import "flb_v1" "emit" (func $emit (param i32 i32 i32 i32 i64 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "{\22n\22:1}")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (if (i32.ne (call $emit (i32.const 16) (i32.const 7) (i32.const 0) (i32.const 0) (i64.const -1) (i32.const 0)) (i32.const 0)) (then (unreachable)))
    (i32.const 0)))
