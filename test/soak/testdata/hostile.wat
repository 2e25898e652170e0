;; Does what the letter behind "do":" in a record says, and returns the record if
;; there is none. Everything that a guest can do wrong in one call, each on the
;; record that asks for it and on no other:
;;
;;   u  reaches unreachable code       p  replies with a pointer beyond its memory
;;   o  stores out of bounds           m  replies with JSON that is no object
;;   d  divides by zero                j  replies with what is not JSON
;;   s  overflows its stack            t  replies with text that has no end
;;   e  exits with status 3            f  replies well, and traps in free
;;   x  scribbles over its input,      g  grows by 1 MiB and replies well
;;      then as u                      w  prints two lines and replies well
;;   l  loops for ever; in odd seconds
;;      in a function of the host
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 17)
  (data (i32.const 1024) "\"do\":\"")
  (data (i32.const 1040) "[1,2]")
  (data (i32.const 1056) "{\"n\":1,\"text\":")
  ;; Two iovecs: the address and the length of each line.
  (data (i32.const 1088) "\00\08\00\00\15\00\00\00\40\08\00\00\15\00\00\00")
  (data (i32.const 0x800) "hello from the guest\n")
  (data (i32.const 0x840) "trouble in the guest\n")
  (global $trap_in_free (mut i32) (i32.const 0))

  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (local $do i32)
    (local.set $do (call $told (local.get $record) (local.get $record_len)))
    (if (i32.eqz (local.get $do))
      (then (return (local.get $record))))
    (if (i32.eq (local.get $do) (i32.const 0x75)) ;; u
      (then (unreachable)))
    (if (i32.eq (local.get $do) (i32.const 0x6f)) ;; o
      (then (i32.store (i32.const 0xfffffff0) (local.get $sec))))
    (if (i32.eq (local.get $do) (i32.const 0x64)) ;; d
      (then (return (i32.div_u (local.get $record) (i32.load (i32.const 512))))))
    (if (i32.eq (local.get $do) (i32.const 0x73)) ;; s
      (then (return (call $deeper (local.get $record)))))
    (if (i32.eq (local.get $do) (i32.const 0x65)) ;; e
      (then (call $proc_exit (i32.const 3))))
    (if (i32.eq (local.get $do) (i32.const 0x78)) ;; x
      (then
        (memory.fill (local.get $tag) (i32.const 0x21) (local.get $tag_len))
        (memory.fill (local.get $record) (i32.const 0x21) (local.get $record_len))
        (unreachable)))
    (if (i32.eq (local.get $do) (i32.const 0x6c)) ;; l
      (then
        (if (i32.and (local.get $sec) (i32.const 1))
          (then (loop $forever
            (memory.fill (i32.const 65536) (i32.const 0x21) (i32.const 524288))
            (br $forever))))
        (loop $forever (br $forever))))
    (if (i32.eq (local.get $do) (i32.const 0x70)) ;; p
      (then (return (i32.const 0xfffffff0))))
    (if (i32.eq (local.get $do) (i32.const 0x6d)) ;; m
      (then (return (i32.const 1040))))
    (if (i32.eq (local.get $do) (i32.const 0x6a)) ;; j
      (then (return (i32.const 1056))))
    (if (i32.eq (local.get $do) (i32.const 0x74)) ;; t
      (then
        (local.set $do (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 16)))
        (memory.fill (local.get $do) (i32.const 0x78) (i32.const 16))
        (return (local.get $do))))
    (if (i32.eq (local.get $do) (i32.const 0x66)) ;; f
      (then (global.set $trap_in_free (i32.const 1))))
    (if (i32.eq (local.get $do) (i32.const 0x67)) ;; g
      (then (drop (memory.grow (i32.const 16)))))
    (if (i32.eq (local.get $do) (i32.const 0x77)) ;; w
      (then
        (drop (call $fd_write (i32.const 1) (i32.const 1088) (i32.const 1) (i32.const 1104)))
        (drop (call $fd_write (i32.const 2) (i32.const 1096) (i32.const 1) (i32.const 1104)))))
    (local.get $record))

  (func $deeper (param $n i32) (result i32)
    (i32.add (call $deeper (i32.add (local.get $n) (i32.const 1))) (i32.const 1)))

  ;; The byte behind the 6 bytes at 1024, or 0.
  (func $told (param $at i32) (param $len i32) (result i32)
    (local $end i32) (local $i i32)
    (if (i32.lt_u (local.get $len) (i32.const 7))
      (then (return (i32.const 0))))
    (local.set $end (i32.add (local.get $at) (i32.sub (local.get $len) (i32.const 7))))
    (loop $next
      (local.set $i (i32.const 0))
      (block $differs
        (loop $same
          (br_if $differs
            (i32.ne
              (i32.load8_u (i32.add (local.get $at) (local.get $i)))
              (i32.load8_u offset=1024 (local.get $i))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $same (i32.lt_u (local.get $i) (i32.const 6))))
        (return (i32.load8_u offset=6 (local.get $at))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.le_u (local.get $at) (local.get $end))))
    (i32.const 0))

  ;; Memory from 64 KiB on is handed out upwards. All of it is free again when
  ;; nothing is in use any more, and the last block as soon as it is freed.
  (global $heap (mut i32) (i32.const 65536))
  (global $last (mut i32) (i32.const 0))
  (global $used (mut i32) (i32.const 0))
  (func (export "malloc") (param $size i32) (result i32)
    (local $end i32) (local $missing i32)
    (local.set $end
      (i32.and (i32.add (i32.add (global.get $heap) (local.get $size)) (i32.const 7)) (i32.const -8)))
    (if (i32.or
          (i32.lt_s (local.get $size) (i32.const 0))
          (i32.lt_u (local.get $end) (global.get $heap)))
      (then (return (i32.const 0))))
    (local.set $missing
      (i32.sub
        (i32.add (i32.shr_u (i32.sub (local.get $end) (i32.const 1)) (i32.const 16)) (i32.const 1))
        (memory.size)))
    (if (i32.gt_s (local.get $missing) (i32.const 0))
      (then
        (if (i32.eq (memory.grow (local.get $missing)) (i32.const -1))
          (then (return (i32.const 0))))))
    (global.set $last (global.get $heap))
    (global.set $heap (local.get $end))
    (global.set $used (i32.add (global.get $used) (i32.const 1)))
    (global.get $last))
  (func (export "free") (param $block i32)
    (if (global.get $trap_in_free)
      (then (unreachable)))
    (if (i32.eqz (local.get $block))
      (then (return)))
    (global.set $used (i32.sub (global.get $used) (i32.const 1)))
    (if (i32.eq (local.get $block) (global.get $last))
      (then (global.set $heap (local.get $block))))
    (if (i32.eqz (global.get $used))
      (then (global.set $heap (i32.const 65536))))))
