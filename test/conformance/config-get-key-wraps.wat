;; The sum of address and length can't wrap: a key of config_get that would is a trap.
;; options: {"config.word": "seven"}
;; chunk: [{"body": {"a": 1}}]
;; out: [{"failed": 0}]
(module
  (import "flb_v1" "config_get" (func $get (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 17)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (drop (call $get (i32.const 0xfffffff0) (i32.const 0x20) (i32.const 32) (i32.const 8)))
    (local.get 4)))
