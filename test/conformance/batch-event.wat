;; An event of the table has its time, no group, and where its metadata and body are: their bytes as
;; they stand in the chunk, headers and texts in any width.
;; chunk: [{"$hex": "92 92 d700 fffffffa 3b9ac9ff de0001a16dccff df00000001d90161dc0001d1002a"}]
;; out: "unchanged"
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\de\00\01\a1m\cc\ff")
  (data (i32.const 32) "\df\00\00\00\01\d9\01a\dc\00\01\d1\00*")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32)
    (local $event i32)
    (local.set $event (i32.add (local.get $input) (i32.load offset=16 (local.get $input))))
    (if (i64.ne (i64.load (local.get $event)) (i64.const 4294967290)) (then (unreachable)))
    (if (i32.ne (i32.load offset=8 (local.get $event)) (i32.const 999999999)) (then (unreachable)))
    (if (i32.ne (i32.load offset=12 (local.get $event)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (i32.load offset=20 (local.get $event)) (i32.const 7)) (then (unreachable)))
    (if (i32.ne (i32.load offset=28 (local.get $event)) (i32.const 14)) (then (unreachable)))
    (call $same (i32.const 16) (i32.add (local.get $input) (i32.load offset=16 (local.get $event))) (i32.const 7))
    (call $same (i32.const 32) (i32.add (local.get $input) (i32.load offset=24 (local.get $event))) (i32.const 14))
    (i32.const 0))
  ;; Traps unless the bytes at two addresses are the same.
  (func $same (param $a i32) (param $b i32) (param $n i32)
    (loop $next
      (if (local.get $n)
        (then
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (if (i32.ne (i32.load8_u (i32.add (local.get $a) (local.get $n))) (i32.load8_u (i32.add (local.get $b) (local.get $n))))
            (then (unreachable)))
          (br $next))))))
