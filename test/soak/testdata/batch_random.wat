;; A batch guest that replies anything: as many operations as it likes, on events in order or not, of any
;; number and part, with addresses beyond memory or of bytes that are no MessagePack; with some of them
;; a trap, or a pointer to nowhere. None of it may change a record: there is no drop, and no value or time
;; that is valid.
(module
  (memory (export "memory") 20)
  (global $state (mut i32) (i32.const 1))
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param $n i32) (result i32)
    (local $missing i32)
    (local.set $missing
      (i32.sub
        (i32.shr_u (i32.add (local.get $n) (i32.const 1376255)) (i32.const 16)) ;; 20 pages, and one less a byte
        (memory.size)))
    (if (i32.gt_s (local.get $missing) (i32.const 0))
      (then (if (i32.eq (memory.grow (local.get $missing)) (i32.const -1)) (then (return (i32.const 0))))))
    (i32.const 1310720))

  (func $random (result i32) ;; xorshift
    (global.set $state (i32.xor (global.get $state) (i32.shl (global.get $state) (i32.const 13))))
    (global.set $state (i32.xor (global.get $state) (i32.shr_u (global.get $state) (i32.const 17))))
    (global.set $state (i32.xor (global.get $state) (i32.shl (global.get $state) (i32.const 5))))
    (global.get $state))
  (func $below (param $n i32) (result i32) (i32.rem_u (call $random) (local.get $n)))

  ;; 65536 to 131072 is no MessagePack; operations stand from 131072 on.
  (func (export "filter") (param $in i32) (param $len i32) (result i32)
    (local $n i32) (local $i i32) (local $op i32) (local $of i32) (local $events i32) (local $kind i32)
    ;; Not the same for each instance.
    (global.set $state (i32.or (i32.const 1)
      (i32.xor (global.get $state)
        (i32.load (i32.add (local.get $in)
          (i32.add (i32.load offset=24 (i32.add (local.get $in) (i32.load offset=16 (local.get $in)))) (i32.const 3)))))))
    (memory.fill (i32.const 65536) (i32.const 0xc1) (i32.const 65536))
    (if (i32.eqz (call $below (i32.const 16))) (then (unreachable)))
    (if (i32.eqz (call $below (i32.const 16)))
      (then (return (i32.or (call $random) (i32.const 0x80000000)))))
    (local.set $events (i32.load offset=20 (local.get $in)))
    (local.set $n (call $below (i32.const 3000)))
    (i32.store (i32.const 1024) (i32.const 131072))
    (i32.store (i32.const 1028) (local.get $n))
    (i32.store (i32.const 1032) (i32.const 131072))
    (i32.store (i32.const 1036) (i32.const 0))
    (if (i32.eqz (call $below (i32.const 8)))
      (then (i32.store (i32.const 1036) (call $below (i32.const 4)))))
    (if (i32.eqz (call $below (i32.const 8)))
      (then (i32.store (i32.const 1028) (call $random))))
    (if (i32.eqz (call $below (i32.const 8)))
      (then (i32.store (i32.const 1024) (i32.or (call $random) (i32.const 0x80000000)))))
    (local.set $op (i32.const 131072))
    (loop $next
      (if (i32.lt_u (local.get $i) (local.get $n))
        (then
          ;; Now and then the next event; rarely any other.
          (if (i32.and
                (i32.eqz (call $below (i32.const 3)))
                (i32.lt_u (i32.add (local.get $of) (i32.const 1)) (local.get $events)))
            (then (local.set $of (i32.add (local.get $of) (i32.const 1)))))
          (i32.store (local.get $op) (local.get $of))
          (if (i32.eqz (call $below (i32.const 20000)))
            (then (i32.store (local.get $op) (call $random))))
          (local.set $kind (i32.add (i32.const 2) (call $below (i32.const 9))))
          (if (i32.eqz (call $below (i32.const 8)))
            (then (local.set $kind (i32.add (i32.const 11) (call $below (i32.const 245))))))
          (i32.store8 offset=4 (local.get $op) (local.get $kind))
          (i32.store8 offset=5 (local.get $op) (call $below (i32.const 3)))
          (i32.store16 offset=6 (local.get $op) (call $random))
          (i32.store offset=8 (local.get $op) (i32.shr_u (call $random) (call $below (i32.const 32))))
          (i32.store offset=12 (local.get $op) (i32.shr_u (call $random) (call $below (i32.const 32))))
          (if (i32.eq (local.get $kind) (i32.const 3)) ;; no time with so many nanoseconds
            (then (i32.store offset=12 (local.get $op)
              (i32.or (i32.load offset=12 (local.get $op)) (i32.const 0x80000000)))))
          (i32.store offset=16 (local.get $op)
            (select
              (i32.or (call $random) (i32.const 0x80000000))
              (i32.add (i32.const 65536) (call $below (i32.const 32768)))
              (i32.eqz (call $below (i32.const 4)))))
          (i32.store offset=20 (local.get $op)
            (i32.add (i32.const 1) (i32.shr_u (call $random) (i32.add (i32.const 17) (call $below (i32.const 14))))))
          (local.set $op (i32.add (local.get $op) (i32.const 24)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $next))))
    (i32.const 1024)))
