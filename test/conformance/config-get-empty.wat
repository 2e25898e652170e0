;; A value may be empty: config_get returns 0.
;; options: {"config_file": "$DIR/config.json"}
;; files: {"config.json": "{\"word\":\"\"}"}
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "config_get" (func $get (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "word")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (if (call $get (i32.const 16) (i32.const 4) (i32.const 32) (i32.const 8)) (then (unreachable)))
    (local.get 4)))
