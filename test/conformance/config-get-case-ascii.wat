;; Of letters beyond ASCII, upper and lower case are not the same in a key.
;; options: {"config_file": "$DIR/config.json"}
;; files: {"config.json": "{\"größe\":\"seven\",\"a[\":\"b\"}"}
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "config_get" (func $get (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "GRößE")
  (data (i32.const 32) "GRÖßE")
  (data (i32.const 48) "A{")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (if (i32.ne (i32.const 5) (call $get (i32.const 16) (i32.const 7) (i32.const 64) (i32.const 8))) (then (unreachable)))
    (if (i32.ne (i32.const -1) (call $get (i32.const 32) (i32.const 7) (i32.const 64) (i32.const 8))) (then (unreachable)))
    (if (i32.ne (i32.const -1) (call $get (i32.const 48) (i32.const 2) (i32.const 64) (i32.const 8))) (then (unreachable)))
    (local.get 4)))
