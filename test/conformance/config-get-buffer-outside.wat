;; The buffer of config_get is inside memory: one that is not is a trap, however short the value.
;; options: {"config.word": "seven"}
;; chunk: [{"body": {"a": 1}}]
;; out: [{"failed": 0}]
(module
  (import "flb_v1" "config_get" (func $get (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "word")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (drop (call $get (i32.const 16) (i32.const 4) (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 7)) (i32.const 8)))
    (local.get 4)))
