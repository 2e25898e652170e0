;; feature is 1 of tick if flb_tick is called.
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "feature" (func $feature (param i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 32) "tick")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (if (i32.ne (call $feature (i32.const 32) (i32.const 4)) (i32.const 1)) (then (unreachable)))
    (local.get 4)))
