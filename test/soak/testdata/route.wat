;; A batch guest that sends each record, {"n":NUMBER,...}, away under the tag r.D, D being the last digit of its
;; number. It traps for a record that begins otherwise.
;; Promise: what is emitted under another tag comes out once, with the bytes of the record.
(module
  (memory (export "memory") 32)
  (data (i32.const 1024) "r.0r.1r.2r.3r.4r.5r.6r.7r.8r.9")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param $n i32) (result i32)
    (local $more i32)
    (local.set $more (i32.sub (i32.add (i32.const 1048576) (local.get $n)) (i32.shl (memory.size) (i32.const 16))))
    (if (i32.gt_s (local.get $more) (i32.const 0))
      (then
        (if (i32.lt_s (memory.grow (i32.shr_u (i32.add (local.get $more) (i32.const 65535)) (i32.const 16))) (i32.const 0))
          (then (return (i32.const 0))))))
    (i32.const 1048576))

  ;; The reply stands at 16, two operations for each record from 131072 on, what they emit from 524288 on.
  (func (export "filter") (param $in i32) (param $len i32) (result i32)
    (local $i i32) (local $row i32) (local $op i32) (local $emitted i32)
    (local.set $row (i32.add (local.get $in) (i32.load offset=16 (local.get $in))))
    (local.set $op (i32.const 131072))
    (local.set $emitted (i32.const 524288))
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $i) (i32.load offset=20 (local.get $in))))
        (if (i32.ge_u (local.get $op) (i32.const 500000)) (then (unreachable)))
        (i32.store (local.get $op) (local.get $i))
        (i32.store offset=4 (local.get $op) (i32.const 1)) ;; drop
        (i32.store offset=24 (local.get $op) (local.get $i))
        (i32.store offset=28 (local.get $op) (i32.const 10)) ;; emit_to
        (i32.store offset=40 (local.get $op) (local.get $emitted))
        (i32.store offset=44 (local.get $op) (i32.const 40))
        (i64.store (local.get $emitted) (i64.const -1))
        (i32.store offset=12 (local.get $emitted) (i32.const -1))
        (i32.store offset=24 (local.get $emitted) (i32.add (local.get $in) (i32.load offset=24 (local.get $row))))
        (i32.store offset=28 (local.get $emitted) (i32.load offset=28 (local.get $row)))
        (i32.store offset=32 (local.get $emitted) (call $tag (i32.add (local.get $in) (i32.load offset=24 (local.get $row)))))
        (i32.store offset=36 (local.get $emitted) (i32.const 3))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (local.set $op (i32.add (local.get $op) (i32.const 48)))
        (local.set $emitted (i32.add (local.get $emitted) (i32.const 40)))
        (local.set $row (i32.add (local.get $row) (i32.load offset=24 (local.get $in))))
        (br $next)))
    (i32.store (i32.const 16) (i32.const 131072))
    (i32.store (i32.const 20) (i32.shl (local.get $i) (i32.const 1)))
    (i32.store (i32.const 24) (i32.const 0))
    (i32.store (i32.const 28) (i32.const 0))
    (i32.const 16))

  ;; Returns where the tag of a record stands.
  (func $tag (param $at i32) (result i32)
    (local $n i32) (local $kind i32)
    (local.set $at (i32.add (local.get $at) ;; behind the header of the map, in any width
      (select (i32.const 1)
        (select (i32.const 3) (i32.const 5) (i32.eq (i32.load8_u (local.get $at)) (i32.const 0xde)))
        (i32.eq (i32.and (i32.load8_u (local.get $at)) (i32.const 0xf0)) (i32.const 0x80)))))
    (if (i32.ne (i32.load16_u (local.get $at)) (i32.const 0x6ea1)) (then (unreachable))) ;; "n"
    (local.set $kind (i32.load8_u offset=2 (local.get $at)))
    (local.set $at (i32.add (local.get $at) (i32.const 3)))
    (block $read
      (if (i32.lt_u (local.get $kind) (i32.const 0x80)) (then (local.set $n (local.get $kind)) (br $read)))
      (local.set $n (i32.load8_u (local.get $at)))
      (br_if $read (i32.eq (local.get $kind) (i32.const 0xcc)))
      (local.set $n (i32.or (i32.shl (local.get $n) (i32.const 8)) (i32.load8_u offset=1 (local.get $at))))
      (br_if $read (i32.eq (local.get $kind) (i32.const 0xcd)))
      (local.set $n (i32.or (i32.shl (local.get $n) (i32.const 8)) (i32.load8_u offset=2 (local.get $at))))
      (local.set $n (i32.or (i32.shl (local.get $n) (i32.const 8)) (i32.load8_u offset=3 (local.get $at))))
      (br_if $read (i32.eq (local.get $kind) (i32.const 0xce)))
      (unreachable))
    (i32.add (i32.const 1024) (i32.mul (i32.const 3) (i32.rem_u (local.get $n) (i32.const 10))))))
