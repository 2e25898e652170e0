;; The type of the function is looked at before any code of the module runs.
;; refused: ["filter"]
;; not_log: ["code has run"]
(module
  (import "flb_v1" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "code has run")
  (func $start (call $log (i32.const 1) (i32.const 16) (i32.const 12)))
  (start $start)
  (func (export "filter") (param i32 i32 i32 i32 i32) (result i32) (i32.const 0)))
