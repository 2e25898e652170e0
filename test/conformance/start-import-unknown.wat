;; A function that the host does not have keeps the module from starting, with a message that names
;; it, before any code of the module runs.
;; refused: ["flb_v1", "no_such_function"]
;; not_log: ["code has run"]
(module
  (import "flb_v1" "log" (func $log (param i32 i32 i32)))
  (import "flb_v1" "no_such_function" (func))
  (memory (export "memory") 1)
  (data (i32.const 16) "code has run")
  (func $start (call $log (i32.const 1) (i32.const 16) (i32.const 12)))
  (start $start)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local.get 4)))
