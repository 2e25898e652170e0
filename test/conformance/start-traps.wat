;; A trap before the first record keeps the module from starting.
;; refused: []
(module
  (memory (export "memory") 17)
  (func $start (unreachable))
  (start $start)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local.get 4)))
