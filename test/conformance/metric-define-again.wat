;; The same name, kind, labels and buckets are the same metric, whatever the help.
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "metric_define" (func $metric_define (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 1024) "a")
  (data (i32.const 1040) "help")
  (data (i32.const 1056) "x,y")
  (data (i32.const 1072) "a")
  (data (i32.const 1088) "other help")
  (data (i32.const 1104) "x,y")
  (data (i32.const 1120) "b")
  (data (i32.const 1136) "help")
  (data (i32.const 1152) "x,y")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32) (local $c i32)
    (local.set $c (call $metric_define (i32.const 1) (i32.const 1024) (i32.const 1) (i32.const 1040) (i32.const 4) (i32.const 1056) (i32.const 3) (i32.const 0) (i32.const 0)))
    (if (i32.ne (call $metric_define (i32.const 1) (i32.const 1072) (i32.const 1) (i32.const 1088) (i32.const 10) (i32.const 1104) (i32.const 3) (i32.const 0) (i32.const 0)) (local.get $c)) (then (unreachable)))
    (if (i32.eq (call $metric_define (i32.const 1) (i32.const 1120) (i32.const 1) (i32.const 1136) (i32.const 4) (i32.const 1152) (i32.const 3) (i32.const 0) (i32.const 0)) (local.get $c)) (then (unreachable)))
    (if (i32.lt_s (local.get $c) (i32.const 0)) (then (unreachable)))
    (local.get $record)))
