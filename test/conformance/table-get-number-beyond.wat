;; A table is given by a number that table_open has returned. Else it is a trap.
;; options: {"table.users": "$DIR/users.csv", "table.Doc": "$DIR/doc.json"}
;; files: {"users.csv": "id,name,dept\n7,Ann,D1\neight,Bob,\n7,Anna,\"D2, \"\"x\"\"\"\n", "doc.json": "{\"x\": {\"a\": {\"b\": [1, -2, {\"c\": \"deep\"}]}, \"n\": null, \"t\": true, \"f\": 0.5}, \"s\": \"text\"}"}
;; chunk: [{"body": {"a": 1}}]
;; out: [{"failed": 0}]
(module
  (import "flb_v1" "table_open" (func $table_open (param i32 i32) (result i32)))
  (import "flb_v1" "table_get" (func $table_get (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 1024) "users")
  (data (i32.const 1040) "doc")
  (data (i32.const 1056) "7")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32) (local $u i32) (local $d i32)
    (local.set $u (call $table_open (i32.const 1024) (i32.const 5)))
    (local.set $d (call $table_open (i32.const 1040) (i32.const 3)))
    (drop (call $table_get (i32.const 2) (i32.const 1056) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 64) (i32.const 256)))
    (local.get $record)))
