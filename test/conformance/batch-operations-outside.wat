;; The operations are inside memory, all of them.
;; chunk: [{"body": {"a": 1}}, {"body": {"b": 2}}]
;; out: [{"failed": 0}, {"failed": 1}]
(module
  (memory (export "memory") 17)
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32)
    (i32.store (i32.const 16) (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 24)))
    (i32.store (i32.const 20) (i32.const 2))
    (i32.store8 (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 20)) (i32.const 1)) ;; drop
    (i32.const 16)))
