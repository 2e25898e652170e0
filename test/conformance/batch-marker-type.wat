;; The marker is a function () -> ().
;; refused: ["flb_batch_1"]
(module
  (memory (export "memory") 17)
  (func (export "flb_batch_1") (param i32))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param i32 i32) (result i32) (i32.const 0)))
