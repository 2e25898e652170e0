;; What is set last counts.
;; chunk: [{"time": [5, 6], "metadata": {"m": [1, "x"]}, "body": {"a": 1}}]
;; out: [{"time": [5, 6], "metadata": {"n": 2}, "body": {"a": 1}}]
(module
  (import "flb_v1" "metadata_set" (func $metadata_set (param i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "{\22n\22:2}")
  (data (i32.const 48) "x")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (if (i32.ne (call $metadata_set (i32.const 48) (i32.const 1)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (call $metadata_set (i32.const 16) (i32.const 7)) (i32.const 0)) (then (unreachable)))
    (local.get $record)))
