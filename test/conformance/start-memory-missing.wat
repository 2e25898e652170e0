;; The module exports its memory by the name memory.
;; refused: ["memory"]
(module
  (memory (export "mem") 1)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local.get 4)))
