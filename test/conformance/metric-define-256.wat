;; There is room for 256 metrics: the next is -1, and what is counted with it is -1, too.
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "metric_define" (func $metric_define (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "flb_v1" "metric_add" (func $metric_add (param i32 f64 i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 1024) "xaa")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32) (local $n i32)
    (loop $next
      (i32.store8 (i32.const 1025) (i32.add (i32.const 97) (i32.and (local.get $n) (i32.const 15))))
      (i32.store8 (i32.const 1026) (i32.add (i32.const 97) (i32.shr_u (local.get $n) (i32.const 4))))
      (if (i32.lt_s (call $metric_define (i32.const 1) (i32.const 1024) (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)) (i32.const 0))
        (then (unreachable)))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $n) (i32.const 256))))
    (if (i32.ne (call $metric_define (i32.const 1) (i32.const 1024) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)) (i32.const -1)) (then (unreachable)))
    (if (i32.ne (call $metric_add (i32.const -1) (f64.const 1) (i32.const 0) (i32.const 0)) (i32.const -1)) (then (unreachable)))
    (local.get $record)))
