;; All that is set and emitted of a record has 64 MiB at most: what would be more is refused with -1.
;; (What is taken here is no map, so the record fails.)
;; log: [["info", "the third was refused"]]
;; chunk: [{"time": [5, 6], "metadata": {"m": [1, "x"]}, "body": {"a": 1}}]
;; out: [{"failed": 0}]
(module
  (import "flb_v1" "metadata_set" (func $metadata_set (param i32 i32) (result i32)))
  (import "flb_v1" "emit" (func $emit (param i32 i32 i32 i32 i64 i32) (result i32)))
  (import "flb_v1" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 600)
  (data (i32.const 16) "the third was refused")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (if (i32.ne (call $metadata_set (i32.const 64) (i32.const 32505856)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (call $emit (i32.const 64) (i32.const 32505856) (i32.const 0) (i32.const 0) (i64.const -1) (i32.const 0)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (call $emit (i32.const 64) (i32.const 32505856) (i32.const 0) (i32.const 0) (i64.const -1) (i32.const 0)) (i32.const -1)) (then (unreachable)))
    (call $log (i32.const 3) (i32.const 16) (i32.const 21))
    (local.get $record)))
