;; The name of feature is inside memory: one that is not is a trap.
;; chunk: [{"body": {"a": 1}}]
;; out: [{"failed": 0}]
(module
  (import "flb_v1" "feature" (func $feature (param i32 i32) (result i32)))
  (memory (export "memory") 17)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (drop (call $feature (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 4)) (i32.const 5)))
    (local.get 4)))
