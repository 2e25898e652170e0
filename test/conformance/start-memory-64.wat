;; The memory is one of 32 bits.
;; refused: ["memory"]
(module
  (memory (export "memory") i64 1)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local.get 4)))
