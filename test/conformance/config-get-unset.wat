;; config_get returns -1 for a key that is not set, be it the begin of one that is, or longer.
;; options: {"config.word": "seven"}
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "config_get" (func $get (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "words")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (if (i32.ne (i32.const -1) (call $get (i32.const 16) (i32.const 3) (i32.const 32) (i32.const 8))) (then (unreachable)))
    (if (i32.ne (i32.const -1) (call $get (i32.const 16) (i32.const 5) (i32.const 32) (i32.const 8))) (then (unreachable)))
    (if (i32.ne (i32.const -1) (call $get (i32.const 0) (i32.const 0) (i32.const 32) (i32.const 8))) (then (unreachable)))
    (if (i64.ne (i64.load (i32.const 32)) (i64.const 0)) (then (unreachable)))
    (local.get 4)))
