;; The key of config_get is inside memory: one that is not is a trap.
;; options: {"config.word": "seven"}
;; chunk: [{"body": {"a": 1}}]
;; out: [{"failed": 0}]
(module
  (import "flb_v1" "config_get" (func $get (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 17)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (drop (call $get (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 3)) (i32.const 4) (i32.const 32) (i32.const 8)))
    (local.get 4)))
