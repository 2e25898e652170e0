;; flb_configure has 10 seconds, or timeout if that is longer.
;; slow: true
;; refused: []
(module
  (memory (export "memory") 17)
  (func (export "flb_configure") (result i32) (loop $for_ever (br $for_ever)) (i32.const 0))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local.get 4)))
