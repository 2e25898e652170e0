;; The result 0 is a failure of the batch if memory was refused to the module in that call.
;; options: {"memory_limit": "2M"}
;; chunk: [{"body": {"a": 1}}, {"body": {"b": 2}}]
;; out: [{"failed": 0}, {"failed": 1}]
(module
  (memory (export "memory") 17)
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32)
    (if (i32.ne (memory.grow (i32.const 1000)) (i32.const -1)) (then (unreachable)))
    (i32.const 0)))
