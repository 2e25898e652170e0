;; A tag of emit_to that is not inside memory is a trap.
;; options: {"emit_tags": "other"}
;; chunk: [{"body": {"a": 1}}]
;; out: [{"failed": 0, "text": ["emit_to"]}]
(module
  (import "flb_v1" "emit_to" (func $emit_to (param i32 i32 i32 i32 i32 i32 i64 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "{\22n\22:1}")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (drop (call $emit_to (i32.shl (memory.size) (i32.const 16)) (i32.const 1) (i32.const 16) (i32.const 7) (i32.const 0) (i32.const 0) (i64.const -1) (i32.const 0)))
    (local.get 4)))
