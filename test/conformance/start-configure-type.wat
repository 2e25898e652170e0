;; An export flb_configure of another type keeps the module from starting.
;; refused: ["flb_configure"]
(module
  (memory (export "memory") 1)
  (func (export "flb_configure") (param i32) (result i32) (i32.const 0))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local.get 4)))
