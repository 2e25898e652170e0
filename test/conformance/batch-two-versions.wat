;; A module may export the markers of several versions: the host takes one that it knows.
;; chunk: [{"body": {"a": 1}}, {"body": {"b": 2}}]
;; out: "unchanged"
(module
  (memory (export "memory") 17)
  (func (export "flb_batch_2") (unreachable))
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param i32 i32) (result i32) (i32.const 0)))
