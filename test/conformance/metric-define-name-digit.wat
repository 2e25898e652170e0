;; The name of a metric does not begin with a digit. Else it is a trap.
;; chunk: [{"body": {"a": 1}}]
;; out: [{"failed": 0}]
(module
  (import "flb_v1" "metric_define" (func $metric_define (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 1024) "1a")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (drop (call $metric_define (i32.const 1) (i32.const 1024) (i32.const 2) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
    (local.get $record)))
