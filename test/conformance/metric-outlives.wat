;; What a call has counted stays if it traps, and the metric is the same for another instance.
;; log: [["info", "a_total", "2"]]
;; chunk: [{"body": {"a": 1}}, {"body": {"a": 2}}]
;; out: [{"failed": 0}, {"event": 1}]
(module
  (import "flb_v1" "metric_define" (func $metric_define (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "flb_v1" "metric_add" (func $metric_add (param i32 f64 i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 1024) "a_total")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32) (local $c i32)
    (local.set $c (call $metric_define (i32.const 1) (i32.const 1024) (i32.const 7) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
    (if (i32.ne (local.get $c) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (call $metric_add (local.get $c) (f64.const 1) (i32.const 0) (i32.const 0)) (i32.const 0)) (then (unreachable)))
    (if (i32.eq (i32.load8_u (i32.add (local.get $record) (i32.const 5))) (i32.const 49)) (then (unreachable)))
    (local.get $record)))
