;; An event whose time is a number of seconds has no nanoseconds.
;; chunk: [{"$hex": "92 92 ce6553f100 80 81a16101"}]
;; out: "unchanged"
(module
  (memory (export "memory") 17)
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32)
    (local $event i32)
    (local.set $event (i32.add (local.get $input) (i32.load offset=16 (local.get $input))))
    (if (i64.ne (i64.load (local.get $event)) (i64.const 1700000000)) (then (unreachable)))
    (if (i32.ne (i32.load offset=8 (local.get $event)) (i32.const 0)) (then (unreachable)))
    (i32.const 0)))
