;; Keys and values may have 1 MiB in all.
;; options: {"config_file": "$DIR/config.json", "config.k": "seven!"}
;; files: {"config.json": {"$join": ["{\"word\":\"", {"$repeat": ["x", 1048565]}, "\"}"]}}
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "config_get" (func $get (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 34)
  (data (i32.const 16) "word")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (if (i32.ne (i32.const 1048565) (call $get (i32.const 16) (i32.const 4) (i32.const 65536) (i32.const 1048576))) (then (unreachable)))
    (if (i32.ne (i32.load (i32.const 1114097)) (i32.const 0x78787878)) (then (unreachable)))
    (local.get 4)))
