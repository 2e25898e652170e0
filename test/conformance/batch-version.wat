;; Of a module with another number in its marker than 1 the host says that it does not know that
;; version, and does not start it.
;; refused: ["flb_batch_2"]
(module
  (memory (export "memory") 17)
  (func (export "flb_batch_2"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param i32 i32) (result i32) (i32.const 0)))
