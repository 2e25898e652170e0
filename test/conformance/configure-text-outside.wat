;; The text of flb_configure is inside memory. If it isn't, the configuration is not taken.
;; refused: []
(module
  (memory (export "memory") 1)
  (func (export "flb_configure") (result i32) (i32.const 65536))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local.get 4)))
