;; config.KEY goes before the file, whatever the case of its letters.
;; options: {"config.word": "seven", "config_file": "$DIR/config.json"}
;; files: {"config.json": "{\"Word\":\"twelve\",\"other\":\"x\"}"}
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "config_get" (func $get (param i32 i32 i32 i32) (result i32)))
  (import "flb_v1" "config_count" (func $count (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "wordother")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (if (i32.ne (call $count) (i32.const 2)) (then (unreachable)))
    (if (i32.ne (i32.const 5) (call $get (i32.const 16) (i32.const 4) (i32.const 32) (i32.const 8))) (then (unreachable)))
    (if (i64.ne (i64.load (i32.const 32)) (i64.const 0x6e65766573)) (then (unreachable)))
    (if (i32.ne (i32.const 1) (call $get (i32.const 20) (i32.const 5) (i32.const 32) (i32.const 8))) (then (unreachable)))
    (local.get 4)))
