;; A batch guest exports flb_buffer.
;; refused: ["flb_buffer"]
(module
  (memory (export "memory") 17)
  (func (export "flb_batch_1"))
  (func (export "filter") (param i32 i32) (result i32) (i32.const 0)))
