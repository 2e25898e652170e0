;; Beyond metrics_series series there are no new ones: -1. Those that are there go on. The log says so.
;; options: {"metrics_series": "2"}
;; log: [["warn", "metric"]]
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "metric_define" (func $metric_define (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "flb_v1" "metric_add" (func $metric_add (param i32 f64 i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 1024) "a")
  (data (i32.const 1040) "x")
  (data (i32.const 1056) "\01\00\00\00x")
  (data (i32.const 1072) "\01\00\00\00y")
  (data (i32.const 1088) "\01\00\00\00z")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32) (local $c i32)
    (local.set $c (call $metric_define (i32.const 1) (i32.const 1024) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 1040) (i32.const 1) (i32.const 0) (i32.const 0)))
    (if (i32.ne (call $metric_add (local.get $c) (f64.const 1) (i32.const 1056) (i32.const 5)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (call $metric_add (local.get $c) (f64.const 1) (i32.const 1072) (i32.const 5)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (call $metric_add (local.get $c) (f64.const 1) (i32.const 1088) (i32.const 5)) (i32.const -1)) (then (unreachable)))
    (if (i32.ne (call $metric_add (local.get $c) (f64.const 1) (i32.const 1056) (i32.const 5)) (i32.const 0)) (then (unreachable)))
    (local.get $record)))
