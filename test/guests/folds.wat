;; Drops records, and counts them. When it ticks it emits {"n":N,"last":L} under the tag counts, if there were some: N of
;; up to nine records since the tick before, and L is 1 if it is the last one. It traps in a tick after ten records.
;; Promise: what a guest holds back comes out when it ticks, and at the end.
(module
  (import "flb_v1" "emit_to" (func $emit_to (param i32 i32 i32 i32 i32 i32 i64 i32) (result i32)))
  (memory (export "memory") 17)
  (global $n (mut i32) (i32.const 0))
  (data (i32.const 16) "counts")
  (data (i32.const 32) "{\"n\":N,\"last\":L}") ;; N at 37, L at 46
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (global.set $n (i32.add (global.get $n) (i32.const 1)))
    (i32.const 0))
  (func (export "flb_tick") (param $flags i32) (result i32)
    (if (i32.eqz (global.get $n)) (then (return (i32.const 0))))
    (if (i32.ge_u (global.get $n) (i32.const 10)) (then unreachable))
    (i32.store8 (i32.const 37) (i32.add (i32.const 48) (global.get $n)))
    (i32.store8 (i32.const 46) (i32.add (i32.const 48) (i32.and (local.get $flags) (i32.const 1))))
    (global.set $n (i32.const 0))
    (if (call $emit_to (i32.const 16) (i32.const 6) (i32.const 32) (i32.const 16)
          (i32.const 0) (i32.const 0) (i64.const -1) (i32.const 0))
      (then unreachable))
    (i32.const 0))

  ;; Memory from 64 KiB on is handed out upwards. All of it is free again when
  ;; nothing is in use any more, and the last block as soon as it is freed.
  (global $heap (mut i32) (i32.const 65536))
  (global $last (mut i32) (i32.const 0))
  (global $used (mut i32) (i32.const 0))
  (func (export "malloc") (param $size i32) (result i32)
    (local $end i32) (local $missing i32)
    (local.set $end
      (i32.and (i32.add (i32.add (global.get $heap) (local.get $size)) (i32.const 7)) (i32.const -8)))
    (if (i32.or
          (i32.lt_s (local.get $size) (i32.const 0))
          (i32.lt_u (local.get $end) (global.get $heap)))
      (then (return (i32.const 0))))
    (local.set $missing
      (i32.sub
        (i32.add (i32.shr_u (i32.sub (local.get $end) (i32.const 1)) (i32.const 16)) (i32.const 1))
        (memory.size)))
    (if (i32.gt_s (local.get $missing) (i32.const 0))
      (then
        (if (i32.eq (memory.grow (local.get $missing)) (i32.const -1))
          (then (return (i32.const 0))))))
    (global.set $last (global.get $heap))
    (global.set $heap (local.get $end))
    (global.set $used (i32.add (global.get $used) (i32.const 1)))
    (global.get $last))
  (func (export "free") (param $block i32)
    (if (i32.eqz (local.get $block))
      (then (return)))
    (global.set $used (i32.sub (global.get $used) (i32.const 1)))
    (if (i32.eq (local.get $block) (global.get $last))
      (then (global.set $heap (local.get $block))))
    (if (i32.eqz (global.get $used))
      (then (global.set $heap (i32.const 65536))))))
