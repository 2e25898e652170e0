;; Returns the record with "calls":1000000000+N added: this is the N-th call of this
;; instance. The record must not be empty.
;; Promise: a record that runs through the guest twice differs the second time.
(module
  (memory (export "memory") 17)
  (global $calls (mut i32) (i32.const 0))
  (data (i32.const 1024) ",\"calls\":")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (local $at i32) (local $n i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (memory.copy (i32.const 65536) (local.get 4) (local.get 5))
    (local.set $at (i32.add (i32.const 65535) (local.get 5)))
    (memory.copy (local.get $at) (i32.const 1024) (i32.const 9))
    (local.set $at (i32.add (local.get $at) (i32.const 19)))
    (i32.store8 (i32.add (local.get $at) (i32.const 1)) (i32.const 0))
    (i32.store8 (local.get $at) (i32.const 125))
    (local.set $n (i32.add (global.get $calls) (i32.const 1000000000)))
    (loop $next
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i32.store8 (local.get $at) (i32.add (i32.const 48) (i32.rem_u (local.get $n) (i32.const 10))))
      (local.set $n (i32.div_u (local.get $n) (i32.const 10)))
      (br_if $next (local.get $n)))
    (i32.const 65536)))
