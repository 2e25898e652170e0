;; flb_stateful is a function () -> ().
;; refused: ["flb_stateful"]
(module
  (memory (export "memory") 17)
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "flb_stateful") (result i32) (i32.const 1))
  (func (export "filter") (param i32 i32) (result i32) (i32.const 0)))
