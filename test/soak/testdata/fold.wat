;; A batch guest that folds records, {"n":NUMBER,...}, into one: it drops them, and with the next tick emits
;; {"records":HOW MANY,"sum":OF THEIR NUMBERS} under the tag folded, if there were any. What it holds is in its
;; memory only. It traps for a record that begins otherwise.
;; Promise: what is folded is handed over, at each tick and when the instance is not called again.
(module
  (import "flb_v1" "emit_to"
    (func $emit_to (param i32 i32 i32 i32 i32 i32 i64 i32) (result i32)))
  (memory (export "memory") 32)
  (data (i32.const 1024) "folded")
  (data (i32.const 1040) "version A")
  (global $records (mut i64) (i64.const 0))
  (global $sum (mut i64) (i64.const 0))
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param $n i32) (result i32)
    (local $more i32)
    (local.set $more (i32.sub (i32.add (i32.const 1048576) (local.get $n)) (i32.shl (memory.size) (i32.const 16))))
    (if (i32.gt_s (local.get $more) (i32.const 0))
      (then
        (if (i32.lt_s (memory.grow (i32.shr_u (i32.add (local.get $more) (i32.const 65535)) (i32.const 16))) (i32.const 0))
          (then (return (i32.const 0))))))
    (i32.const 1048576))

  ;; The reply stands at 16, an operation for each record from 131072 on.
  (func (export "filter") (param $in i32) (param $len i32) (result i32)
    (local $i i32) (local $row i32) (local $op i32)
    (local.set $row (i32.add (local.get $in) (i32.load offset=16 (local.get $in))))
    (local.set $op (i32.const 131072))
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $i) (i32.load offset=20 (local.get $in))))
        (if (i32.ge_u (local.get $op) (i32.const 1000000)) (then (unreachable)))
        (i32.store (local.get $op) (local.get $i))
        (i32.store offset=4 (local.get $op) (i32.const 1)) ;; drop
        (i32.store offset=16 (local.get $op) (i32.const 1024))
        (global.set $sum (i64.add (global.get $sum)
          (i64.extend_i32_u (call $number (i32.add (local.get $in) (i32.load offset=24 (local.get $row)))))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (local.set $op (i32.add (local.get $op) (i32.const 24)))
        (local.set $row (i32.add (local.get $row) (i32.load offset=24 (local.get $in))))
        (br $next)))
    (global.set $records (i64.add (global.get $records) (i64.extend_i32_u (local.get $i))))
    (i32.store (i32.const 16) (i32.const 131072))
    (i32.store (i32.const 20) (local.get $i))
    (i32.store (i32.const 24) (i32.const 0))
    (i32.store (i32.const 28) (i32.const 0))
    (i32.const 16))

  ;; Another answer than 0 is the address of a text, which says that what is held could not be emitted.
  (data (i32.const 1100) "emit_to refuses what was folded\00")
  (func (export "flb_tick") (param $flags i32) (result i32)
    (if (i64.eqz (global.get $records)) (then (return (i32.const 0))))
    (memory.copy (i32.const 2048) (i32.const 1200) (i32.const 32))
    (call $put64 (i32.const 2058) (global.get $records))
    (call $put64 (i32.const 2071) (global.get $sum))
    (if (i32.ne (i32.const 0)
          (call $emit_to (i32.const 1024) (i32.const 6) (i32.const 2048) (i32.const 31) (i32.const 0) (i32.const 0)
            (i64.const -1) (i32.const 0)))
      (then (return (i32.const 1100))))
    (global.set $records (i64.const 0))
    (global.set $sum (i64.const 0))
    (i32.const 0))
  (data (i32.const 1200) "\82\a7records\cf\00\00\00\00\00\00\00\00\a3sum\cf")

  (func $put64 (param $at i32) (param $v i64)
    (local $i i32)
    (loop $next
      (i32.store8 (i32.add (local.get $at) (i32.sub (i32.const 7) (local.get $i))) (i32.wrap_i64 (local.get $v)))
      (local.set $v (i64.shr_u (local.get $v) (i64.const 8)))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 8)))))

  (func $number (param $at i32) (result i32)
    (local $n i32) (local $kind i32)
    (local.set $at (i32.add (local.get $at) ;; behind the header of the map, in any width
      (select (i32.const 1)
        (select (i32.const 3) (i32.const 5) (i32.eq (i32.load8_u (local.get $at)) (i32.const 0xde)))
        (i32.eq (i32.and (i32.load8_u (local.get $at)) (i32.const 0xf0)) (i32.const 0x80)))))
    (if (i32.ne (i32.load16_u (local.get $at)) (i32.const 0x6ea1)) (then (unreachable))) ;; "n"
    (local.set $kind (i32.load8_u offset=2 (local.get $at)))
    (local.set $at (i32.add (local.get $at) (i32.const 3)))
    (if (i32.lt_u (local.get $kind) (i32.const 0x80)) (then (return (local.get $kind))))
    (local.set $n (i32.load8_u (local.get $at)))
    (if (i32.eq (local.get $kind) (i32.const 0xcc)) (then (return (local.get $n))))
    (local.set $n (i32.or (i32.shl (local.get $n) (i32.const 8)) (i32.load8_u offset=1 (local.get $at))))
    (if (i32.eq (local.get $kind) (i32.const 0xcd)) (then (return (local.get $n))))
    (local.set $n (i32.or (i32.shl (local.get $n) (i32.const 8)) (i32.load8_u offset=2 (local.get $at))))
    (local.set $n (i32.or (i32.shl (local.get $n) (i32.const 8)) (i32.load8_u offset=3 (local.get $at))))
    (if (i32.eq (local.get $kind) (i32.const 0xce)) (then (return (local.get $n))))
    (unreachable)))
