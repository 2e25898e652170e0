;; The sum of address and length can't wrap: a buffer of config_get that would is a trap.
;; options: {"config.word": "seven"}
;; chunk: [{"body": {"a": 1}}]
;; out: [{"failed": 0}]
(module
  (import "flb_v1" "config_get" (func $get (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "word")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (drop (call $get (i32.const 16) (i32.const 4) (i32.const 0xfffffff0) (i32.const 0x20)))
    (local.get 4)))
