;; Upper and lower case of ASCII are the same in a key, on either side.
;; options: {"config.some_Word": "seven"}
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "config_get" (func $get (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "SOME_word")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (if (i32.ne (i32.const 5) (call $get (i32.const 16) (i32.const 9) (i32.const 32) (i32.const 8))) (then (unreachable)))
    (local.get 4)))
