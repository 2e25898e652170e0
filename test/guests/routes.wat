;; Emits a record under the tag that it names as "to":"TAG", and drops it, unless it ends in 1}: then a copy stays.
;; One that names no tag it hands back; on one that has the letter ! it traps.
;; Promise: records go where the guest sends them, and nowhere else.
(module
  (import "flb_v1" "emit_to" (func $emit_to (param i32 i32 i32 i32 i32 i32 i64 i32) (result i32)))
  (memory (export "memory") 17)
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (local $at i32) (local $end i32) (local $to i32)
    (local.set $at (local.get $record))
    (local.set $end (i32.add (local.get $record) (local.get $record_len)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (if (i32.eq (i32.load8_u (local.get $at)) (i32.const 33)) (then unreachable)) ;; !
        (if (i32.and ;; "to":"
              (i32.eq (i32.load align=1 (local.get $at)) (i32.const 0x226f7422))
              (i32.eq (i32.load16_u offset=4 align=1 (local.get $at)) (i32.const 0x223a)))
          (then
            (local.set $to (i32.add (local.get $at) (i32.const 6)))
            (br $done)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (if (i32.eqz (local.get $to)) (then (return (local.get $record))))
    (local.set $at (local.get $to))
    (loop $more
      (if (i32.ne (i32.load8_u (local.get $at)) (i32.const 34))
        (then
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $more))))
    (if (call $emit_to
          (local.get $to) (i32.sub (local.get $at) (local.get $to))
          (local.get $record) (local.get $record_len)
          (i32.const 0) (i32.const 0) (i64.const -1) (i32.const 0))
      (then unreachable)) ;; the tag is not granted
    (select (local.get $record) (i32.const 0)
      (i32.eq (i32.load8_u (i32.sub (local.get $end) (i32.const 2))) (i32.const 49))))

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
