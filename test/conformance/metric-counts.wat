;; Counters and gauges are added to, gauges set, and values observed in histograms. The log says at the
;; end what they are.
;; log: [["info", "events_total", "2.5"], ["info", "level:now", "-2.25"], ["info", "size_bytes", "110"]]
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "metric_define" (func $metric_define (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "flb_v1" "metric_add" (func $metric_add (param i32 f64 i32 i32) (result i32)))
  (import "flb_v1" "metric_set" (func $metric_set (param i32 f64 i32 i32) (result i32)))
  (import "flb_v1" "metric_observe" (func $metric_observe (param i32 f64 i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 1024) "events_total")
  (data (i32.const 1040) "what came")
  (data (i32.const 1056) "kind")
  (data (i32.const 1072) "level:now")
  (data (i32.const 1088) "\00\00\00\00\00\00\f0?\00\00\00\00\00\00%@")
  (data (i32.const 1104) "size_bytes")
  (data (i32.const 1120) "\01\00\00\00x")
  (data (i32.const 1136) "\01\00\00\00x")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32) (local $c i32) (local $g i32) (local $h i32)
    (local.set $c (call $metric_define (i32.const 1) (i32.const 1024) (i32.const 12) (i32.const 1040) (i32.const 9) (i32.const 1056) (i32.const 4) (i32.const 0) (i32.const 0)))
    (local.set $g (call $metric_define (i32.const 2) (i32.const 1072) (i32.const 9) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
    (local.set $h (call $metric_define (i32.const 3) (i32.const 1104) (i32.const 10) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1088) (i32.const 2)))
    (if (i32.ne (call $metric_add (local.get $c) (f64.const 2) (i32.const 1120) (i32.const 5)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (call $metric_add (local.get $c) (f64.const 0.5) (i32.const 1136) (i32.const 5)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (call $metric_set (local.get $g) (f64.const 7) (i32.const 0) (i32.const 0)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (call $metric_add (local.get $g) (f64.const -9.25) (i32.const 0) (i32.const 0)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (call $metric_observe (local.get $h) (f64.const 10) (i32.const 0) (i32.const 0)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (call $metric_observe (local.get $h) (f64.const 100) (i32.const 0) (i32.const 0)) (i32.const 0)) (then (unreachable)))
    (local.get $record)))
