;; event_format, split and allocator mean nothing to a batch guest: records are MessagePack.
;; options: {"event_format": "json", "split": "on", "allocator": "host"}
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (memory (export "memory") 17)
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32)
    (if (i32.ne (i32.load offset=20 (local.get $input)) (i32.const 1)) (then (unreachable)))
    (local.set $input (i32.add (local.get $input) (i32.load offset=16 (local.get $input))))
    (local.set $input (i32.add (i32.const 65536) (i32.load offset=24 (local.get $input))))
    (if (i32.ne (i32.load (local.get $input)) (i32.const 0x0161a181)) (then (unreachable))) ;; {"a": 1}
    (i32.const 0)))
