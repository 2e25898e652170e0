;; A batch guest that does what the letter behind "do" in the body of an event says. "filter" keeps all
;; other events, "mark" adds "seen": true to them.
;;
;; Of the batch, if an event of it says so:
;;   u  reaches unreachable code       p  replies with a pointer beyond its memory
;;   o  stores out of bounds           q  says that there are 2^29 operations
;;   s  overflows its stack            h  replaces a part of a group that is not there
;;   x  scribbles over its input,      r  has an operation on an event behind the last
;;      then as u                      n  asks for more memory than there is, and returns 0
;;   l  loops for ever                 g  grows by 1 MiB, and goes on
;;
;; Of the event:
;;   b  replaces it by bytes that are not in memory     c  reports error 7
;;   k  does what no host knows                         f  replaces it by a copy
;;   v  replaces it by what is no map                   w  sets "do" to what it is
;;   i  puts a value where none begins                  y  drops it and emits a copy
;;   j  emits to a group that is not there              D  drops it
;;   a  says drop and error                             M  emits {"copy": 1} and {"copy": 2} behind it
;; Promise: each kind of failure of a batch, or of one of its events, has its consequence and no other.
(module
  (memory (export "memory") 2)
  (global $room (mut i32) (i32.const 0)) ;; for input, which begins at 131072
  (global $ops (mut i32) (i32.const 0))
  (global $op (mut i32) (i32.const 0))
  (global $free (mut i32) (i32.const 0))
  (global $mark (mut i32) (i32.const 0))
  (data (i32.const 1024) "\a4seen\c3")
  (data (i32.const 1040) "no such \1b[31muser")
  (data (i32.const 1072) "\93\01\02\03")
  (data (i32.const 1088) "\81\a4copy\01")
  (data (i32.const 1104) "\81\a4copy\02")
  ;; Emitted events: seconds -1, nanoseconds, group, metadata, body.
  (data (i32.const 1120) "\ff\ff\ff\ff\ff\ff\ff\ff\00\00\00\00\ff\ff\ff\ff\00\00\00\00\00\00\00\00\40\04\00\00\07\00\00\00")
  (data (i32.const 1152) "\ff\ff\ff\ff\ff\ff\ff\ff\00\00\00\00\ff\ff\ff\ff\00\00\00\00\00\00\00\00\50\04\00\00\07\00\00\00")
  (data (i32.const 1184) "\ff\ff\ff\ff\ff\ff\ff\ff\00\00\00\00\f0\ff\ff\ff\00\00\00\00\00\00\00\00\40\04\00\00\07\00\00\00")

  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param $n i32) (result i32)
    (if (i32.eqz (call $reach (i32.add (i32.const 131072) (local.get $n))))
      (then (return (i32.const 0))))
    (global.set $room (local.get $n))
    (i32.const 131072))

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
    (global.set $mark (i32.const 0))
    (call $batch (local.get $in) (local.get $len)))
  (func (export "mark") (param $in i32) (param $len i32) (result i32)
    (global.set $mark (i32.const 1))
    (call $batch (local.get $in) (local.get $len)))

  ;; The reply stands at 2048, its operations behind the input, and copies behind them.
  (func $batch (param $in i32) (param $len i32) (result i32)
    (local $n i32) (local $i i32) (local $event i32) (local $body i32) (local $size i32) (local $do i32)
    (local.set $n (i32.load offset=20 (local.get $in)))
    (global.set $ops
      (i32.and (i32.add (i32.add (local.get $in) (global.get $room)) (i32.const 7)) (i32.const -8)))
    (global.set $op (global.get $ops))
    (global.set $free (i32.add (global.get $ops) (i32.mul (local.get $n) (i32.const 104)))) ;; 72 and 32
    (if (i32.eqz (call $reach (i32.add (global.get $free) (local.get $len))))
      (then (return (i32.const 0))))
    (i32.store (i32.const 2048) (global.get $ops))
    (i32.store (i32.const 2056) (i32.const 0))
    (i32.store (i32.const 2060) (i32.const 0))
    (local.set $event (i32.add (local.get $in) (i32.load offset=16 (local.get $in))))
    (if (i32.eqz (local.get $n)) (then (return (i32.const 0)))) ;; groups alone
    (loop $next
      (local.set $body (i32.add (local.get $in) (i32.load offset=24 (local.get $event))))
      (local.set $size (i32.load offset=28 (local.get $event)))
      (local.set $do (call $told (local.get $body) (local.get $size)))
      (if (local.get $do)
        (then
          (if (i32.eq (local.get $do) (i32.const 0x70)) (then (return (i32.const 0xfffffff0)))) ;; p
          (if (i32.eq (local.get $do) (i32.const 0x71)) ;; q
            (then
              (i32.store (i32.const 2052) (i32.const 0x20000000))
              (return (i32.const 2048))))
          (if (i32.eq (local.get $do) (i32.const 0x68)) ;; h
            (then
              (call $say (i32.const 1000) (i32.const 4) (i32.const 0) (i32.const 1088) (i32.const 7))
              (i32.store (i32.const 2052) (i32.const 0))
              (i32.store (i32.const 2056) (i32.sub (global.get $op) (i32.const 24)))
              (i32.store (i32.const 2060) (i32.const 1))
              (return (i32.const 2048))))
          (if (i32.eq (local.get $do) (i32.const 0x72)) ;; r
            (then (call $say (local.get $n) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0))))
          (if (i32.eq (local.get $do) (i32.const 0x6e)) ;; n
            (then
              (drop (memory.grow (i32.const 65000)))
              (return (i32.const 0))))
          (call $stop (local.get $do) (local.get $in) (local.get $len))
          (call $tell (local.get $do) (local.get $i) (local.get $body) (local.get $size) (local.get $event)))
        (else
          (if (global.get $mark)
            (then (call $add (local.get $i))))))
      (local.set $event (i32.add (local.get $event) (i32.load offset=24 (local.get $in))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
    (i32.store (i32.const 2052)
      (i32.div_u (i32.sub (global.get $op) (global.get $ops)) (i32.const 24)))
    (select (i32.const 2048) (i32.const 0) (i32.load (i32.const 2052))))

  (func $stop (param $do i32) (param $in i32) (param $len i32)
    (if (i32.eq (local.get $do) (i32.const 0x75)) (then (unreachable))) ;; u
    (if (i32.eq (local.get $do) (i32.const 0x6f)) ;; o
      (then (i32.store (i32.const 0xfffffff0) (local.get $in))))
    (if (i32.eq (local.get $do) (i32.const 0x73)) ;; s
      (then (drop (call $deeper (local.get $in)))))
    (if (i32.eq (local.get $do) (i32.const 0x78)) ;; x
      (then
        (memory.fill (local.get $in) (i32.const 0x21) (local.get $len))
        (unreachable)))
    (if (i32.eq (local.get $do) (i32.const 0x6c)) ;; l
      (then (loop $forever (br $forever))))
    (if (i32.eq (local.get $do) (i32.const 0x67)) ;; g
      (then (drop (memory.grow (i32.const 16))))))

  (func $deeper (param $n i32) (result i32)
    (i32.add (call $deeper (i32.add (local.get $n) (i32.const 1))) (i32.const 1)))

  (func $tell (param $do i32) (param $i i32) (param $body i32) (param $size i32) (param $event i32)
    (local $at i32)
    (if (i32.eq (local.get $do) (i32.const 0x62)) ;; b
      (then (call $say (local.get $i) (i32.const 4) (i32.const 0) (i32.const 0xfffffff0) (i32.const 64))))
    (if (i32.eq (local.get $do) (i32.const 0x6b)) ;; k
      (then (call $say (local.get $i) (i32.const 200) (i32.const 0) (i32.const 1024) (i32.const 6))))
    (if (i32.eq (local.get $do) (i32.const 0x76)) ;; v
      (then (call $say (local.get $i) (i32.const 4) (i32.const 0) (i32.const 1072) (i32.const 4))))
    (if (i32.eq (local.get $do) (i32.const 0x69)) ;; i
      (then
        (i32.store offset=12 (global.get $op) (i32.const 1))
        (call $say (local.get $i) (i32.const 8) (i32.const 2) (i32.const 1073) (i32.const 1))))
    (if (i32.eq (local.get $do) (i32.const 0x6a)) ;; j
      (then (call $say (local.get $i) (i32.const 9) (i32.const 0) (i32.const 1184) (i32.const 32))))
    (if (i32.eq (local.get $do) (i32.const 0x61)) ;; a
      (then
        (call $say (local.get $i) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0))
        (call $say (local.get $i) (i32.const 2) (i32.const 7) (i32.const 1040) (i32.const 17))))
    (if (i32.eq (local.get $do) (i32.const 0x63)) ;; c
      (then (call $say (local.get $i) (i32.const 2) (i32.const 7) (i32.const 1040) (i32.const 17))))
    (if (i32.eq (local.get $do) (i32.const 0x66)) ;; f
      (then (call $say (local.get $i) (i32.const 4) (i32.const 0)
        (call $copy (local.get $body) (local.get $size)) (local.get $size))))
    (if (i32.eq (local.get $do) (i32.const 0x77)) ;; w
      (then
        (local.set $at (global.get $free))
        (global.set $free (i32.add (local.get $at) (i32.const 8)))
        (i32.store (local.get $at) (i32.const 0xa16f64a2)) ;; a2 "do" a1
        (i32.store8 offset=4 (local.get $at) (local.get $do))
        (call $say (local.get $i) (i32.const 5) (i32.const 0) (local.get $at) (i32.const 5))))
    (if (i32.eq (local.get $do) (i32.const 0x79)) ;; y
      (then
        (local.set $at (global.get $free))
        (global.set $free (i32.add (local.get $at) (i32.const 32)))
        (memory.copy (local.get $at) (i32.const 1120) (i32.const 32))
        (i32.store offset=24 (local.get $at) (call $copy (local.get $body) (local.get $size)))
        (i32.store offset=28 (local.get $at) (local.get $size))
        (call $say (local.get $i) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0))
        (call $say (local.get $i) (i32.const 9) (i32.const 0) (local.get $at) (i32.const 32))))
    (if (i32.eq (local.get $do) (i32.const 0x44)) ;; D
      (then (call $say (local.get $i) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0))))
    (if (i32.eq (local.get $do) (i32.const 0x4d)) ;; M
      (then
        (call $add (local.get $i))
        (call $say (local.get $i) (i32.const 9) (i32.const 0) (i32.const 1120) (i32.const 32))
        (call $say (local.get $i) (i32.const 9) (i32.const 0) (i32.const 1152) (i32.const 32)))))

  (func $add (param $i i32)
    (call $say (local.get $i) (i32.const 6) (i32.const 1) (i32.const 1024) (i32.const 6)))

  (func $copy (param $from i32) (param $n i32) (result i32)
    (local $to i32)
    (local.set $to (global.get $free))
    (memory.copy (local.get $to) (local.get $from) (local.get $n))
    (global.set $free (i32.add (local.get $to) (local.get $n)))
    (local.get $to))

  (func $say (param $i i32) (param $kind i32) (param $a i32) (param $address i32) (param $n i32)
    (i32.store (global.get $op) (local.get $i))
    (i32.store offset=4 (global.get $op) (local.get $kind))
    (i32.store offset=8 (global.get $op) (local.get $a))
    (i32.store offset=16 (global.get $op) (local.get $address))
    (i32.store offset=20 (global.get $op) (local.get $n))
    (global.set $op (i32.add (global.get $op) (i32.const 24))))

  ;; The byte behind a2 "do" a1, or 0.
  (func $told (param $at i32) (param $len i32) (result i32)
    (local $end i32)
    (if (i32.lt_u (local.get $len) (i32.const 5))
      (then (return (i32.const 0))))
    (local.set $end (i32.add (local.get $at) (i32.sub (local.get $len) (i32.const 5))))
    (loop $next
      (if (i32.eq (i32.load (local.get $at)) (i32.const 0xa16f64a2))
        (then (return (i32.load8_u offset=4 (local.get $at)))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.le_u (local.get $at) (local.get $end))))
    (i32.const 0)))
