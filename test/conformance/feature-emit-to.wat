;; feature is 0 of emit_to without emit_tags, and of tick if flb_tick is not called.
;; options: {"tick_interval": "0"}
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "feature" (func $feature (param i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "emit_to")
  (data (i32.const 32) "tick")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (if (call $feature (i32.const 16) (i32.const 7)) (then (unreachable)))
    (if (call $feature (i32.const 32) (i32.const 4)) (then (unreachable)))
    (local.get 4)))
