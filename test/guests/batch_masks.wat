;; A batch guest that masks all that it is given: events and groups that may be changed become empty maps,
;; body and metadata. It traps for a batch with an event whose body contains "trap".
;; Promise: nothing of an event or a group comes out that it has not masked, with on_error drop.
(module
  (memory (export "memory") 32)
  (data (i32.const 1024) "\80")
  (global $op (mut i32) (i32.const 0))
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param $n i32) (result i32)
    (select (i32.const 1048576) (i32.const 0) (i32.le_u (local.get $n) (i32.const 1048576))))

  ;; The reply stands at 16, its operations from 2048 on.
  (func (export "filter") (param $in i32) (param $len i32) (result i32)
    (local $i i32) (local $at i32)
    (global.set $op (i32.const 2048))
    (local.set $at (i32.add (local.get $in) (i32.load offset=16 (local.get $in))))
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $i) (i32.load offset=20 (local.get $in))))
        (call $look (i32.add (local.get $in) (i32.load offset=24 (local.get $at))) (i32.load offset=28 (local.get $at)))
        (call $empty (local.get $i) (i32.const 0))
        (if (i32.load offset=20 (local.get $at)) (then (call $empty (local.get $i) (i32.const 1))))
        (local.set $at (i32.add (local.get $at) (i32.load offset=24 (local.get $in))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))
    (i32.store (i32.const 16) (i32.const 2048))
    (i32.store (i32.const 20) (i32.div_u (i32.sub (global.get $op) (i32.const 2048)) (i32.const 24)))
    (i32.store (i32.const 24) (global.get $op))
    (local.set $i (i32.const 0))
    (local.set $at (i32.add (local.get $in) (i32.load offset=28 (local.get $in))))
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $i) (i32.load offset=32 (local.get $in))))
        (if (i32.load (local.get $at))
          (then
            (call $empty (local.get $i) (i32.const 0))
            (call $empty (local.get $i) (i32.const 1))))
        (local.set $at (i32.add (local.get $at) (i32.load offset=36 (local.get $in))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))
    (i32.store (i32.const 28) (i32.div_u (i32.sub (global.get $op) (i32.load (i32.const 24))) (i32.const 24)))
    (i32.const 16))

  ;; Has a part replaced by an empty map.
  (func $empty (param $i i32) (param $part i32)
    (if (i32.gt_u (global.get $op) (i32.const 1048000)) (then (unreachable)))
    (i32.store (global.get $op) (local.get $i))
    (i32.store offset=4 (global.get $op) (i32.or (i32.const 4) (i32.shl (local.get $part) (i32.const 8))))
    (i32.store offset=16 (global.get $op) (i32.const 1024))
    (i32.store offset=20 (global.get $op) (i32.const 1))
    (global.set $op (i32.add (global.get $op) (i32.const 24))))

  (func $look (param $at i32) (param $n i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $at) (local.get $n)))
    (loop $next
      (if (i32.eq (i32.load (local.get $at)) (i32.const 0x70617274)) (then (unreachable)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.le_u (i32.add (local.get $at) (i32.const 4)) (local.get $end))))))
