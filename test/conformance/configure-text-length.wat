;; Of the text that flb_configure refuses the configuration with, 1,024 bytes are taken.
;; refused: ["[begin]", "[end]"]
;; not_log: ["[beyond]"]
(module
  (memory (export "memory") 1)
  (data (i32.const 1024) "[begin]")
  (data (i32.const 2043) "[end][beyond]")
  (func (export "flb_configure") (result i32)
    (memory.fill (i32.const 1031) (i32.const 46) (i32.const 1012))
    (i32.const 1024))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local.get 4)))
