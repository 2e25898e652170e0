;; The operations are inside memory: their number times their size can't wrap.
;; chunk: [{"body": {"a": 1}}, {"body": {"b": 2}}]
;; out: [{"failed": 0}, {"failed": 1}]
(module
  (memory (export "memory") 2)
  (data (i32.const 65536) "\10\00\01\00" "\00\00\00\20") ;; 2^29 operations, and only zeros behind
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 1024))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 65536)))
