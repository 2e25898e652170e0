;; Within the call of a batch guest emit_to returns -1.
;; options: {"emit_tags": "other"}
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "emit_to" (func $emit_to (param i32 i32 i32 i32 i32 i32 i64 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "other")
  (data (i32.const 32) "\80")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32)
    (if (i32.ne (call $emit_to (i32.const 16) (i32.const 5) (i32.const 32) (i32.const 1) (i32.const 0) (i32.const 0) (i64.const -1) (i32.const 0)) (i32.const -1)) (then (unreachable)))
    (i32.const 0)))
