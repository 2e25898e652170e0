;; Has something to show in each metric that is about what modules do themselves. In each call it counts in a
;; counter, a gauge and a histogram, and once in a way that can't be counted; stores a key that nobody has stored
;; before; and reports an error of the first event in each fourth call.
(module
  (import "flb_v1" "store_set" (func $store (param i32 i32 i32 i32 i64) (result i32)))
  (import "flb_v1" "metric_define" (func $define (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "flb_v1" "metric_add" (func $add (param i32 f64 i32 i32) (result i32)))
  (import "flb_v1" "metric_set" (func $set (param i32 f64 i32 i32) (result i32)))
  (import "flb_v1" "metric_observe" (func $observe (param i32 f64 i32 i32) (result i32)))
  (memory (export "memory") 17)
  (global $calls (mut i32) (i32.const 0))
  (global $counter (mut i32) (i32.const -1))
  (global $gauge (mut i32) (i32.const -1))
  (global $histogram (mut i32) (i32.const -1))
  (data (i32.const 16) "\40\00\00\00") ;; the reply: where operations on events are; how many, behind it
  (data (i32.const 64) "\00\00\00\00" "\02\00\00\00" "\67\12\00\00" "\00\00\00\00" "\00\10\00\00\0c\00\00\00") ;; error 4711
  (data (i32.const 512) "seen_total" "level" "part" "size")
  (data (i32.const 544) "\04\00\00\00" "body") ;; the value of a label
  (data (i32.const 560) "\00\00\00\00\00\00\f0\3f" "\00\00\00\00\00\00\24\40") ;; buckets to 1 and to 10
  (data (i32.const 4096) "no such user")
  (func (export "flb_batch_1"))
  (func (export "flb_configure") (result i32)
    (global.set $counter (call $define (i32.const 1) (i32.const 512) (i32.const 10) (i32.const 0) (i32.const 0)
      (i32.const 527) (i32.const 4) (i32.const 0) (i32.const 0)))
    (global.set $gauge (call $define (i32.const 2) (i32.const 522) (i32.const 5) (i32.const 0) (i32.const 0)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
    (global.set $histogram (call $define (i32.const 3) (i32.const 531) (i32.const 4) (i32.const 0) (i32.const 0)
      (i32.const 0) (i32.const 0) (i32.const 560) (i32.const 2)))
    (i32.const 0))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param i32 i32) (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (drop (call $add (global.get $counter) (f64.const 1) (i32.const 544) (i32.const 8)))
    (drop (call $add (global.get $counter) (f64.const -1) (i32.const 544) (i32.const 8)))
    (drop (call $set (global.get $gauge) (f64.convert_i32_u (i32.rem_u (global.get $calls) (i32.const 7))) (i32.const 0) (i32.const 0)))
    (drop (call $observe (global.get $histogram) (f64.convert_i32_u (i32.rem_u (global.get $calls) (i32.const 20))) (i32.const 0) (i32.const 0)))
    (i32.store (i32.const 1024) (global.get $calls))
    (drop (call $store (i32.const 1024) (i32.const 4) (i32.const 1024) (i32.const 4) (i64.const 0)))
    (i32.store (i32.const 20) (i32.eqz (i32.rem_u (global.get $calls) (i32.const 4))))
    (i32.const 16)))
