;; The memory is not shared.
;; refused: ["memory"]
(module
  (memory (export "memory") 1 2 shared)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local.get 4)))
