;; What flb_buffer returns is a multiple of 8.
;; chunk: [{"body": {"a": 1}}, {"body": {"b": 2}}]
;; out: [{"failed": 0}, {"failed": 1}]
(module
  (memory (export "memory") 17)
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param $size i32) (result i32) (i32.const 65540))
  (func (export "filter") (param $input i32) (param $length i32) (result i32)
    (i32.const 0)))
