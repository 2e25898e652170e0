;; A batch guest whose flb_buffer gives no memory, traps, asks for more than there is, or answers an address
;; that is not aligned or beyond memory, and whose every 20th call traps, so that it is asked again.
(module
  (memory (export "memory") 64)
  (global $calls (mut i32) (i32.const 0))
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param $n i32) (result i32)
    (local $what i32)
    (local.set $what (i32.rem_u (i32.shr_u (i32.mul (local.get $n) (i32.const 0x9e3779b1)) (i32.const 16)) (i32.const 16)))
    (if (i32.eqz (local.get $what)) (then (unreachable)))
    (if (i32.eq (local.get $what) (i32.const 1)) (then (return (i32.const 65540)))) ;; not a multiple of 8
    (if (i32.eq (local.get $what) (i32.const 2)) (then (return (i32.const 0xfffffff8))))
    (if (i32.eq (local.get $what) (i32.const 3)) (then (return (i32.const 0))))
    (if (i32.eq (local.get $what) (i32.const 4))
      (then
        (loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
        (return (i32.const 0))))
    (select (i32.const 0) (i32.const 65536) (i32.gt_u (local.get $n) (i32.const 4128768))))
  (func (export "filter") (param $in i32) (param $len i32) (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (if (i32.eq (global.get $calls) (i32.const 20)) (then (unreachable)))
    (memory.fill (local.get $in) (i32.const 0x21) (local.get $len))
    (i32.const 0)))
