;; The text of log is inside memory: one that ends beyond is a trap.
;; chunk: [{"body": {"a": 1}}]
;; out: [{"failed": 0}]
(module
  (import "flb_v1" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 17)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (call $log (i32.const 3) (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 8)) (i32.const 9))
    (local.get 4)))
