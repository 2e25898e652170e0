;; Start functions and init_function have 10 seconds together, or timeout if that is longer.
;; slow: true
;; refused: []
(module
  (memory (export "memory") 17)
  (func (export "_initialize") (loop $for_ever (br $for_ever)))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local.get 4)))
