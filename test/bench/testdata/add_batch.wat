;; Adds the key "k" of value "v" to the body of each event of a batch.
(module
  (memory (export "memory") 1)
  (data (i32.const 1024) "\a1k\a1v")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param $n i32) (result i32)
    (i32.shl
      (memory.grow (i32.shr_u (i32.add (local.get $n) (i32.const 65535)) (i32.const 16)))
      (i32.const 16)))

  ;; The reply stands at 2048, its operations, of which there is room for 2,600, behind it.
  (func (export "filter") (param $in i32) (param $len i32) (result i32)
    (local $n i32) (local $i i32) (local $op i32)
    (local.set $n (i32.load offset=20 (local.get $in)))
    (i32.store offset=2048 (i32.const 0) (i32.const 2064))
    (i32.store offset=2052 (i32.const 0) (local.get $n))
    (local.set $op (i32.const 2064))
    (loop $next
      (i32.store (local.get $op) (local.get $i))
      (i32.store offset=4 (local.get $op) (i32.const 6)) ;; add
      (i32.store offset=8 (local.get $op) (i32.const 1)) ;; one member
      (i32.store offset=16 (local.get $op) (i32.const 1024))
      (i32.store offset=20 (local.get $op) (i32.const 4))
      (local.set $op (i32.add (local.get $op) (i32.const 24)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
    (i32.const 2048)))
