;; Emits each record under another tag, and drops it: config.to, or out.D by D, the last character of
;; its first member, a number. It traps if the record is not taken.
;; Promise: what a guest emits under other tags arrives there, once, or is counted.
(module
  (import "flb_v1" "config_get" (func $config (param i32 i32 i32 i32) (result i32)))
  (import "flb_v1" "emit_to"
    (func $emit (param i32 i32 i32 i32 i32 i32 i64 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "to")
  (data (i32.const 32) "out.0")
  (global $tag (mut i32) (i32.const 32))
  (global $len (mut i32) (i32.const 5))
  (func (export "flb_configure") (result i32)
    (local $n i32)
    (local.set $n (call $config (i32.const 16) (i32.const 2) (i32.const 64) (i32.const 1024)))
    (if (i32.gt_s (local.get $n) (i32.const 0))
      (then (global.set $tag (i32.const 64)) (global.set $len (local.get $n))))
    (i32.const 0))
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (local $at i32) (local $c i32)
    (local.set $at (local.get $record))
    (loop $next ;; to the comma or brace behind the first member
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (local.set $c (i32.load8_u (local.get $at)))
      (br_if $next
        (i32.and (i32.ne (local.get $c) (i32.const 44)) (i32.ne (local.get $c) (i32.const 125)))))
    (i32.store8 (i32.const 36) (i32.load8_u (i32.sub (local.get $at) (i32.const 1))))
    (if (call $emit (global.get $tag) (global.get $len) (local.get $record) (local.get $record_len)
          (i32.const 0) (i32.const 0) (i64.const -1) (i32.const 0))
      (then unreachable))
    (i32.const 0)))
