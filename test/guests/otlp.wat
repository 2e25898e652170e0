;; Does with metrics and traces what the configuration key `do` says by its first letter: keep, same (a
;; replacement of the same bytes), recode (one with an unknown field behind the request), empty (one of no
;; bytes), drop, error (with a text), garbage (a replacement of 0xff), cut (all but the last byte), twice (a
;; gauge with two names, the last one empty: as traces a span with two numbers of traces), big (of more bytes
;; than may be), trap, hang, memory (grows until it is refused, then returns 0), outside (a reply outside of
;; memory), far (a replacement outside of memory), odd (an operation that there is not), leak (grows by a page
;; at each call, and keeps).
;; Promise: whatever a guest does, a payload passes as it was, or is what it should be.
(module
  (import "flb_v1" "config_get" (func $get (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (global $do (mut i32) (i32.const 0))
  (data (i32.const 16) "do")
  (data (i32.const 32) "no, says the guest")
  (data (i32.const 256) "\0a\16\12\14\12\12\0a\01g\0a\00\2a\0b\0a\09\21\00\00\00\00\00\00\f0\3f")
  (func (export "flb_otlp_1"))
  (func (export "flb_configure") (result i32)
    (drop (call $get (i32.const 16) (i32.const 2) (i32.const 64) (i32.const 32)))
    ;; Of words that begin alike the second letter counts.
    (global.set $do (i32.load16_u (i32.const 64)))
    (i32.const 0))

  ;; With room for what is put behind the input.
  (func (export "flb_buffer") (param $size i32) (result i32)
    (local $pages i32)
    (local.set $pages (memory.grow (i32.add (i32.shr_u (local.get $size) (i32.const 16)) (i32.const 2))))
    (if (result i32) (i32.eq (local.get $pages) (i32.const -1))
      (then (i32.const 0))
      (else (i32.shl (local.get $pages) (i32.const 16)))))

  (func $reply (param $operation i32) (param $at i32) (param $len i32) (result i32)
    (i32.store (i32.const 128) (local.get $operation))
    (i32.store (i32.const 132) (i32.const 0))
    (i32.store (i32.const 136) (local.get $at))
    (i32.store (i32.const 140) (local.get $len))
    (i32.const 128))

  (func $is (param $a i32) (param $b i32) (result i32)
    (i32.eq (global.get $do) (i32.or (local.get $a) (i32.shl (local.get $b) (i32.const 8)))))

  (func $run (param $in i32) (param $signal i32) (result i32)
    (local $at i32) (local $len i32)
    (if (i32.or (i32.ne (i32.load (local.get $in)) (i32.const 64)) (i32.ne (i32.load offset=4 (local.get $in)) (local.get $signal)))
      (then unreachable))
    (local.set $at (i32.add (local.get $in) (i32.load offset=16 (local.get $in))))
    (local.set $len (i32.load offset=20 (local.get $in)))
    (if (call $is (i32.const 0x73) (i32.const 0x61)) ;; sa(me)
      (then (return (call $reply (i32.const 2) (local.get $at) (local.get $len)))))
    (if (call $is (i32.const 0x72) (i32.const 0x65)) ;; re(code): field 111 of type bytes, with none
      (then
        (i32.store (i32.add (local.get $at) (local.get $len)) (i32.const 0x0006fa))
        (return (call $reply (i32.const 2) (local.get $at) (i32.add (local.get $len) (i32.const 3))))))
    (if (call $is (i32.const 0x65) (i32.const 0x6d)) ;; em(pty)
      (then (return (call $reply (i32.const 2) (local.get $at) (i32.const 0)))))
    (if (call $is (i32.const 0x64) (i32.const 0x72)) ;; dr(op)
      (then (return (call $reply (i32.const 1) (i32.const 0) (i32.const 0)))))
    (if (call $is (i32.const 0x65) (i32.const 0x72)) ;; er(ror)
      (then (return (call $reply (i32.const 3) (i32.const 32) (i32.const 18)))))
    (if (call $is (i32.const 0x67) (i32.const 0x61)) ;; ga(rbage)
      (then
        (memory.fill (local.get $at) (i32.const 0xff) (local.get $len))
        (return (call $reply (i32.const 2) (local.get $at) (local.get $len)))))
    (if (call $is (i32.const 0x63) (i32.const 0x75)) ;; cu(t)
      (then (return (call $reply (i32.const 2) (local.get $at) (i32.sub (local.get $len) (i32.const 1))))))
    (if (call $is (i32.const 0x74) (i32.const 0x77)) ;; tw(ice)
      (then (return (call $reply (i32.const 2) (i32.const 256) (i32.const 24)))))
    (if (call $is (i32.const 0x62) (i32.const 0x69)) ;; bi(g)
      (then
        (drop (memory.grow (i32.const 1025)))
        (return (call $reply (i32.const 2) (local.get $at) (i32.const 0x4000001)))))
    (if (call $is (i32.const 0x74) (i32.const 0x72)) ;; tr(ap)
      (then unreachable))
    (if (call $is (i32.const 0x68) (i32.const 0x61)) ;; ha(ng)
      (then (loop $on (br $on))))
    (if (call $is (i32.const 0x6d) (i32.const 0x65)) ;; me(mory)
      (then
        (loop $on (br_if $on (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
        (return (i32.const 0))))
    (if (call $is (i32.const 0x6f) (i32.const 0x75)) ;; ou(tside)
      (then (return (i32.const -8))))
    (if (call $is (i32.const 0x66) (i32.const 0x61)) ;; fa(r)
      (then (return (call $reply (i32.const 2) (i32.const 16) (i32.const -1)))))
    (if (call $is (i32.const 0x6f) (i32.const 0x64)) ;; od(d)
      (then (return (call $reply (i32.const 4) (i32.const 16) (i32.const 1)))))
    (if (call $is (i32.const 0x6c) (i32.const 0x65)) ;; le(ak)
      (then (drop (memory.grow (i32.const 1)))))
    (i32.const 0))
  (func (export "flb_metrics") (param $in i32) (param i32) (result i32) (call $run (local.get $in) (i32.const 1)))
  (func (export "flb_traces") (param $in i32) (param i32) (result i32) (call $run (local.get $in) (i32.const 2))))
