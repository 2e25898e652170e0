;; Returns {"tag":"<tag>","sec":<sec>,"record":<record>}. The tag is copied as it is,
;; so that it must need no escapes. A record that does not fit into the 1 MiB for
;; the reply is returned unwrapped.
;; Promise: tag, time and record arrive as the ABI says, sec is unsigned.
;; Also the light guest of the benchmarks.
(module
  (memory (export "memory") 33)
  (data (i32.const 1024) "{\"tag\":\"")
  (data (i32.const 1040) "\",\"sec\":")
  (data (i32.const 1056) ",\"record\":")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (local $to i32) (local $digits i32)
    (if (i32.gt_u (i32.add (local.get $tag_len) (local.get $record_len)) (i32.const 0xfff00))
      (then (return (local.get $record))))
    ;; What is constant is stored by words, as compilers do.
    (i64.store (i32.const 65536) (i64.load (i32.const 1024)))
    (local.set $to (call $copy (i32.const 65544) (local.get $tag) (local.get $tag_len)))
    (i64.store (local.get $to) (i64.load (i32.const 1040)))
    (local.set $to (i32.add (local.get $to) (i32.const 8)))
    ;; The decimal digits, from the last one backwards to 1024 + 128.
    (local.set $digits (i32.const 1152))
    (loop $next
      (local.set $digits (i32.sub (local.get $digits) (i32.const 1)))
      (i32.store8 (local.get $digits)
        (i32.add (i32.const 48) (i32.rem_u (local.get $sec) (i32.const 10))))
      (local.set $sec (i32.div_u (local.get $sec) (i32.const 10)))
      (br_if $next (local.get $sec)))
    (local.set $to
      (call $copy (local.get $to) (local.get $digits) (i32.sub (i32.const 1152) (local.get $digits))))
    (i64.store (local.get $to) (i64.load (i32.const 1056)))
    (i32.store16 offset=8 (local.get $to) (i32.load16_u (i32.const 1064)))
    (local.set $to (i32.add (local.get $to) (i32.const 10)))
    (local.set $to (call $copy (local.get $to) (local.get $record) (local.get $record_len)))
    (i32.store16 (local.get $to) (i32.const 0x7d)) ;; } and NUL
    (i32.const 65536))
  (func $copy (param $to i32) (param $from i32) (param $len i32) (result i32)
    (memory.copy (local.get $to) (local.get $from) (local.get $len))
    (i32.add (local.get $to) (local.get $len)))

  ;; Memory behind the reply is handed out upwards. All of it is free again when
  ;; nothing is in use any more, and the last block as soon as it is freed.
  (global $heap (mut i32) (i32.const 1114112))
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
      (then (global.set $heap (i32.const 1114112))))))
