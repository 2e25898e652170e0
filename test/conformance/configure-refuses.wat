;; flb_configure refuses the configuration with a text up to a NUL, which the user is told.
;; refused: ["greeting: it must be a word"]
(module
  (memory (export "memory") 1)
  (data (i32.const 16) "greeting: it must be a word\00")
  (func (export "flb_configure") (result i32) (i32.const 16))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local.get 4)))
