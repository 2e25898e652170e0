;; A module that does not export the function is not started.
;; refused: ["filter"]
(module
  (memory (export "memory") 1)
  (func (export "other") (param i32 i32 i32 i32 i32 i32) (result i32) (local.get 4)))
