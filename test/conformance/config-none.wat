;; Without configuration there are no keys.
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "config_count" (func $count (result i32)))
  (import "flb_v1" "config_key" (func $key (param i32 i32 i32) (result i32)))
  (import "flb_v1" "config_get" (func $get (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "word")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (if (call $count) (then (unreachable)))
    (if (i32.ne (i32.const -1) (call $key (i32.const 0) (i32.const 32) (i32.const 8))) (then (unreachable)))
    (if (i32.ne (i32.const -1) (call $get (i32.const 16) (i32.const 4) (i32.const 32) (i32.const 8))) (then (unreachable)))
    (local.get 4)))
