;; Returns {"env":"..."}: its environment variables, a blank after each.
;; Promise: env hands over what the user wrote, however often it is given.
(module
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $get (param i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 65536) "{\"env\":\"")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (local $n i32)
    (drop (call $sizes (i32.const 0) (i32.const 4)))
    (drop (call $get (i32.const 1024) (i32.const 65544)))
    (local.set $n (i32.load (i32.const 4)))
    (i32.store (i32.add (i32.const 65544) (local.get $n)) (i32.const 0x7d22)) ;; "} and a NUL
    (loop $next
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (if (i32.eqz (i32.load8_u (i32.add (i32.const 65544) (local.get $n))))
        (then (i32.store8 (i32.add (i32.const 65544) (local.get $n)) (i32.const 32))))
      (br_if $next (local.get $n)))
    (i32.const 65536)))
