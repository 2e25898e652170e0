;; Has the exports of AssemblyScript's runtime instead of malloc and free, imports
;; env.abort, and returns the record. It collects garbage at the worst moment: each
;; __new reuses all memory, unless something is pinned. If the record contains
;; "abort":true, without a space, abort is called with a message and a file name
;; as AssemblyScript keeps them: UTF-16, the length in bytes in front of them.
;; Promise: the host allocates with __new and __pin, and abort is a trap that says
;; what the guest says.
(module
  (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
  (memory (export "memory") 17)
  (data (i32.const 1024) "\"abort\":true")
  (data (i32.const 1048) "\16\00\00\00b\00a\00d\00 \00r\00e\00c\00o\00r\00d\00!\00")
  (data (i32.const 1080) "\12\00\00\00f\00i\00l\00t\00e\00r\00.\00t\00s\00")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (if (call $contains (local.get $record) (local.get $record_len))
      (then (call $abort (i32.const 1052) (i32.const 1084) (i32.const 7) (i32.const 3))))
    (local.get $record))
  ;; Whether the record contains the 12 bytes at 1024.
  (func $contains (param $at i32) (param $len i32) (result i32)
    (local $end i32) (local $i i32)
    (if (i32.lt_u (local.get $len) (i32.const 12))
      (then (return (i32.const 0))))
    (local.set $end (i32.add (local.get $at) (i32.sub (local.get $len) (i32.const 12))))
    (loop $next
      (local.set $i (i32.const 0))
      (block $differs
        (loop $same
          (br_if $differs
            (i32.ne
              (i32.load8_u (i32.add (local.get $at) (local.get $i)))
              (i32.load8_u offset=1024 (local.get $i))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $same (i32.lt_u (local.get $i) (i32.const 12))))
        (return (i32.const 1)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.le_u (local.get $at) (local.get $end))))
    (i32.const 0))

  (global $heap (mut i32) (i32.const 65536))
  (global $pinned (mut i32) (i32.const 0))
  (func (export "__new") (param $size i32) (param $id i32) (result i32)
    (local $block i32) (local $missing i32)
    (if (i32.eqz (global.get $pinned))
      (then (global.set $heap (i32.const 65536))))
    (if (i32.gt_u (local.get $size) (i32.const 0x3ffffff0))
      (then (unreachable)))
    (local.set $block (global.get $heap))
    (global.set $heap
      (i32.and (i32.add (i32.add (local.get $block) (local.get $size)) (i32.const 15)) (i32.const -16)))
    (local.set $missing
      (i32.sub
        (i32.add (i32.shr_u (i32.sub (global.get $heap) (i32.const 1)) (i32.const 16)) (i32.const 1))
        (memory.size)))
    (if (i32.gt_s (local.get $missing) (i32.const 0))
      (then
        ;; AssemblyScript aborts where C returns NULL.
        (if (i32.eq (memory.grow (local.get $missing)) (i32.const -1))
          (then (unreachable)))))
    (local.get $block))
  (func (export "__pin") (param $block i32) (result i32)
    (global.set $pinned (i32.add (global.get $pinned) (i32.const 1)))
    (local.get $block))
  (func (export "__unpin") (param $block i32)
    (if (i32.eqz (global.get $pinned))
      (then (unreachable)))
    (global.set $pinned (i32.sub (global.get $pinned) (i32.const 1))))
  (func (export "__collect")
    (if (i32.eqz (global.get $pinned))
      (then (global.set $heap (i32.const 65536))))))
