;; A batch guest that makes every event anew from copies of what it was given, in one of three ways, and
;; spoils its input behind them: what comes out is what the host has read of the copies.
;;
;;   filter  replaces metadata and body of events, and of markers of groups, and sets the time
;;   recode  does so with bodies whose map has a header of another width
;;   emit    drops the event, and emits another one with its time, group, metadata and body
;; Promise: what is put together of copies is what came, and no input is read after a call.
(module
  (memory (export "memory") 1)
  (global $room (mut i32) (i32.const 0)) ;; for input, which begins at 65536
  (global $in (mut i32) (i32.const 0))
  (global $op (mut i32) (i32.const 0)) ;; where the next operation goes
  (global $free (mut i32) (i32.const 0)) ;; where the next copy goes
  (global $way (mut i32) (i32.const 0))

  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param $n i32) (result i32)
    (if (i32.eqz (call $reach (i32.add (i32.const 65536) (local.get $n))))
      (then (return (i32.const 0))))
    (global.set $room (local.get $n))
    (i32.const 65536))

  ;; Grows memory up to $end. 0: it does not.
  (func $reach (param $end i32) (result i32)
    (local $missing i32)
    (local.set $missing
      (i32.sub
        (i32.shr_u (i32.add (local.get $end) (i32.const 65535)) (i32.const 16))
        (memory.size)))
    (if (i32.le_s (local.get $missing) (i32.const 0))
      (then (return (i32.const 1))))
    (i32.ne (memory.grow (local.get $missing)) (i32.const -1)))

  (func (export "filter") (param $in i32) (param $len i32) (result i32)
    (global.set $way (i32.const 0))
    (call $rebuild (local.get $in) (local.get $len)))
  (func (export "recode") (param $in i32) (param $len i32) (result i32)
    (global.set $way (i32.const 1))
    (call $rebuild (local.get $in) (local.get $len)))
  (func (export "emit") (param $in i32) (param $len i32) (result i32)
    (global.set $way (i32.const 2))
    (call $rebuild (local.get $in) (local.get $len)))

  ;; The reply stands behind the input, its operations behind it, and the copies are the last.
  (func $rebuild (param $in i32) (param $len i32) (result i32)
    (local $reply i32) (local $events i32) (local $groups i32) (local $i i32) (local $at i32)
    (global.set $in (local.get $in))
    (local.set $events (i32.load offset=20 (local.get $in)))
    (local.set $groups (i32.load offset=32 (local.get $in)))
    (local.set $reply
      (i32.and (i32.add (i32.add (local.get $in) (global.get $room)) (i32.const 7)) (i32.const -8)))
    (global.set $op (i32.add (local.get $reply) (i32.const 16)))
    (global.set $free
      (i32.add (global.get $op)
        (i32.mul (i32.const 72) (i32.add (local.get $events) (local.get $groups)))))
    ;; What is emitted takes 32 bytes, a wider header two.
    (if (i32.eqz (call $reach
          (i32.add (i32.add (global.get $free) (local.get $len)) (i32.mul (i32.const 36) (local.get $events)))))
      (then (return (i32.const 0))))

    (i32.store (local.get $reply) (global.get $op))
    (local.set $at (i32.add (local.get $in) (i32.load offset=16 (local.get $in))))
    (loop $event
      (if (i32.lt_u (local.get $i) (local.get $events))
        (then
          (if (i32.eq (global.get $way) (i32.const 2))
            (then (call $emit (local.get $i) (local.get $at)))
            (else (call $replace (local.get $i) (local.get $at))))
          (local.set $at (i32.add (local.get $at) (i32.load offset=24 (local.get $in))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $event))))
    (i32.store offset=4 (local.get $reply)
      (i32.div_u (i32.sub (global.get $op) (i32.load (local.get $reply))) (i32.const 24)))

    (i32.store offset=8 (local.get $reply) (global.get $op))
    (local.set $at (i32.add (local.get $in) (i32.load offset=28 (local.get $in))))
    (local.set $i (i32.const 0))
    (loop $group
      (if (i32.lt_u (local.get $i) (local.get $groups))
        (then
          (if (i32.load (local.get $at)) ;; its marker is in the batch
            (then
              (call $part (local.get $i) (i32.const 1)
                (i32.load offset=8 (local.get $at)) (i32.load offset=12 (local.get $at)))
              (call $part (local.get $i) (i32.const 0)
                (i32.load offset=16 (local.get $at)) (i32.load offset=20 (local.get $at)))))
          (local.set $at (i32.add (local.get $at) (i32.load offset=36 (local.get $in))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $group))))
    (i32.store offset=12 (local.get $reply)
      (i32.div_u (i32.sub (global.get $op) (i32.load offset=8 (local.get $reply))) (i32.const 24)))

    (memory.fill (local.get $in) (i32.const 0xc1) (local.get $len))
    (local.get $reply))

  (func $replace (param $i i32) (param $event i32)
    (if (call $has_usual_time (local.get $event))
      (then (call $say (local.get $i) (i32.const 3) (i32.const 0)
        (i32.load (local.get $event)) (i32.load offset=8 (local.get $event)) (i32.const 0) (i32.const 0))))
    (if (i32.load offset=20 (local.get $event))
      (then (call $part (local.get $i) (i32.const 1)
        (i32.load offset=16 (local.get $event)) (i32.load offset=20 (local.get $event)))))
    (if (global.get $way)
      (then (call $recode (local.get $i)
        (i32.load offset=24 (local.get $event)) (i32.load offset=28 (local.get $event))))
      (else (call $part (local.get $i) (i32.const 0)
        (i32.load offset=24 (local.get $event)) (i32.load offset=28 (local.get $event))))))

  ;; Whether it is one that may be set: some inputs write more nanoseconds than a second has.
  (func $has_usual_time (param $event i32) (result i32)
    (i32.and
      (i64.lt_u (i64.load (local.get $event)) (i64.const 0xfffffffe))
      (i32.lt_u (i32.load offset=8 (local.get $event)) (i32.const 1000000000))))

  (func $emit (param $i i32) (param $event i32)
    (local $emitted i32)
    (call $say (local.get $i) (i32.const 1) (i32.const 0)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
    (local.set $emitted (global.get $free))
    (global.set $free (i32.add (global.get $free) (i32.const 32)))
    (i64.store (local.get $emitted)
      (select (i64.load (local.get $event)) (i64.const -1) (call $has_usual_time (local.get $event))))
    (i32.store offset=8 (local.get $emitted) (i32.load offset=8 (local.get $event)))
    (i32.store offset=12 (local.get $emitted) (i32.load offset=12 (local.get $event)))
    (i32.store offset=16 (local.get $emitted)
      (call $copy (i32.load offset=16 (local.get $event)) (i32.load offset=20 (local.get $event))))
    (i32.store offset=20 (local.get $emitted) (i32.load offset=20 (local.get $event)))
    (i32.store offset=24 (local.get $emitted)
      (call $copy (i32.load offset=24 (local.get $event)) (i32.load offset=28 (local.get $event))))
    (i32.store offset=28 (local.get $emitted) (i32.load offset=28 (local.get $event)))
    (call $say (local.get $i) (i32.const 9) (i32.const 0)
      (i32.const 0) (i32.const 0) (local.get $emitted) (i32.const 32)))

  ;; Replaces a part by a copy of it.
  (func $part (param $i i32) (param $part i32) (param $offset i32) (param $n i32)
    (call $say (local.get $i) (i32.const 4) (local.get $part) (i32.const 0) (i32.const 0)
      (call $copy (local.get $offset) (local.get $n)) (local.get $n)))

  ;; The header of a map gets 3 bytes; one of 3 gets 5.
  (func $recode (param $i i32) (param $offset i32) (param $n i32)
    (local $from i32) (local $lead i32) (local $head i32) (local $to i32)
    (local.set $from (i32.add (global.get $in) (local.get $offset)))
    (local.set $to (global.get $free))
    (local.set $lead (i32.load8_u (local.get $from)))
    (if (i32.eq (local.get $lead) (i32.const 0xde))
      (then
        (local.set $head (i32.const 3))
        (i32.store8 (local.get $to) (i32.const 0xdf))
        (i32.store16 offset=1 (local.get $to) (i32.const 0))
        (i32.store16 offset=3 (local.get $to) (i32.load16_u offset=1 (local.get $from)))
        (global.set $free (i32.add (local.get $to) (i32.const 5))))
      (else
        (i32.store8 (local.get $to) (i32.const 0xde))
        (global.set $free (i32.add (local.get $to) (i32.const 3)))
        (if (i32.eq (local.get $lead) (i32.const 0xdf))
          (then ;; of less than 65,536 members
            (local.set $head (i32.const 5))
            (i32.store16 offset=1 (local.get $to) (i32.load16_u offset=3 (local.get $from))))
          (else
            (local.set $head (i32.const 1))
            (i32.store8 offset=1 (local.get $to) (i32.const 0))
            (i32.store8 offset=2 (local.get $to) (i32.and (local.get $lead) (i32.const 15)))))))
    (drop (call $copy
      (i32.add (local.get $offset) (local.get $head))
      (i32.sub (local.get $n) (local.get $head))))
    (call $say (local.get $i) (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 0)
      (local.get $to) (i32.sub (global.get $free) (local.get $to))))

  ;; Copies bytes of the input, and returns where to.
  (func $copy (param $offset i32) (param $n i32) (result i32)
    (local $to i32)
    (local.set $to (global.get $free))
    (memory.copy (local.get $to) (i32.add (global.get $in) (local.get $offset)) (local.get $n))
    (global.set $free (i32.add (local.get $to) (local.get $n)))
    (local.get $to))

  (func $say (param $i i32) (param $kind i32) (param $part i32) (param $a i32) (param $b i32)
    (param $address i32) (param $n i32)
    (i32.store (global.get $op) (local.get $i))
    (i32.store offset=4 (global.get $op)
      (i32.or (local.get $kind) (i32.shl (local.get $part) (i32.const 8))))
    (i32.store offset=8 (global.get $op) (local.get $a))
    (i32.store offset=12 (global.get $op) (local.get $b))
    (i32.store offset=16 (global.get $op) (local.get $address))
    (i32.store offset=20 (global.get $op) (local.get $n))
    (global.set $op (i32.add (global.get $op) (i32.const 24)))))
