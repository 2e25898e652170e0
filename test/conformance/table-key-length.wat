;; A key of more than 64 KiB, or a path of more than 1,024 bytes, is not found.
;; options: {"table.doc": "$DIR/doc.json"}
;; files: {"doc.json": "{\"x\": {\"a\": 1}}"}
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "table_open" (func $table_open (param i32 i32) (result i32)))
  (import "flb_v1" "table_get" (func $table_get (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 1024) "doc")
  (data (i32.const 1040) "x")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32) (local $d i32)
    (local.set $d (call $table_open (i32.const 1024) (i32.const 3)))
    (if (i32.ne (call $table_get (local.get $d) (i32.const 65536) (i32.const 65537) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 64) (i32.const 64)) (i32.const -1)) (then (unreachable)))
    (if (i32.ne (call $table_get (local.get $d) (i32.const 1040) (i32.const 1) (i32.const 65536) (i32.const 1025) (i32.const 0) (i32.const 64) (i32.const 64)) (i32.const -1)) (then (unreachable)))
    (local.get $record)))
