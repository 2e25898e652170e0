;; The marker flb_batch_1 is never called, and the result 0 keeps all events as they are.
;; chunk: [{"body": {"a": 1}}, {"body": {"b": 2}}]
;; out: "unchanged"
(module
  (memory (export "memory") 17)
  (func (export "flb_batch_1") (unreachable))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param i32 i32) (result i32) (i32.const 0)))
