;; A reply is inside memory, with all of its 16 bytes.
;; chunk: [{"body": {"a": 1}}, {"body": {"b": 2}}]
;; out: [{"failed": 0}, {"failed": 1}]
(module
  (memory (export "memory") 17)
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32)
    (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 15))))
