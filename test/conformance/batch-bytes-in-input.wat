;; The bytes of an operation may lie in the input.
;; chunk: [{"metadata": {"m": [1, 2]}, "body": {"a": 1}}]
;; out: [{"metadata": {"m": [1, 2]}, "body": {"m": [1, 2]}}]
(module
  (memory (export "memory") 17)
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32)
    (local $event i32)
    (local.set $event (i32.add (local.get $input) (i32.load offset=16 (local.get $input))))
    (i32.store (i32.const 16) (i32.const 64))
    (i32.store (i32.const 20) (i32.const 1))
    (i32.store8 (i32.const 68) (i32.const 4)) ;; replace the body by the metadata
    (i32.store (i32.const 80) (i32.add (local.get $input) (i32.load offset=16 (local.get $event))))
    (i32.store (i32.const 84) (i32.load offset=20 (local.get $event)))
    (i32.const 16)))
