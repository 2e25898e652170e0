;; Returns {"digit":D,"count":N}: the last but one character of the record, a digit, and how many
;; records with it there were, by a counter of the filter's store that lives for an hour. It counts
;; them in a metric, too, and then traps on 7.
;; Promise: what a filter keeps for its module is shared by its instances, and outlives them.
(module
  (import "flb_v1" "store_add" (func $add (param i32 i32 i64 i64 i32) (result i32)))
  (import "flb_v1" "metric_define" (func $define (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "flb_v1" "metric_add" (func $count (param i32 f64 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (global $seen (mut i32) (i32.const -1))
  (data (i32.const 16) "\01\00\00\00D") ;; values of labels
  (data (i32.const 32) "seen_total")
  (data (i32.const 64) "Records by their last digit")
  (data (i32.const 128) "digit")
  (data (i32.const 256) "{\"digit\":D,\"count\":         0}\00") ;; the number ends at 284
  (func (export "flb_configure") (result i32)
    (global.set $seen (call $define (i32.const 1)
      (i32.const 32) (i32.const 10) (i32.const 64) (i32.const 27) (i32.const 128) (i32.const 5)
      (i32.const 0) (i32.const 0)))
    (i32.const 0))
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (local $digit i32) (local $n i64) (local $at i32)
    (local.set $digit
      (i32.load8_u (i32.sub (i32.add (local.get $record) (local.get $record_len)) (i32.const 2))))
    (i32.store8 (i32.const 20) (local.get $digit))
    (if (call $add (i32.const 20) (i32.const 1) (i64.const 1) (i64.const 3600000) (i32.const 8))
      (then unreachable))
    (if (call $count (global.get $seen) (f64.const 1) (i32.const 16) (i32.const 5))
      (then unreachable))
    (if (i32.eq (local.get $digit) (i32.const 55)) (then unreachable))
    (i32.store8 (i32.const 265) (local.get $digit))
    (i64.store (i32.const 276) (i64.const 0x2020202020202020))
    (local.set $n (i64.load (i32.const 8)))
    (local.set $at (i32.const 284))
    (loop $next
      (i32.store8 (local.get $at)
        (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (local.get $n) (i64.const 10)))))
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (br_if $next (i64.ne (i64.const 0)
        (local.tee $n (i64.div_u (local.get $n) (i64.const 10))))))
    (i32.const 256)))
