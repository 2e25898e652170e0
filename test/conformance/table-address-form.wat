;; With 16 added to the format the key is the bytes of an address: in CSV and JSON there is no such key.
;; options: {"table.users": "$DIR/users.csv", "table.Doc": "$DIR/doc.json"}
;; files: {"users.csv": "id,name,dept\n7,Ann,D1\neight,Bob,\n7,Anna,\"D2, \"\"x\"\"\"\n", "doc.json": "{\"four\": 1}"}
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "table_open" (func $table_open (param i32 i32) (result i32)))
  (import "flb_v1" "table_get" (func $table_get (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 1024) "users")
  (data (i32.const 1040) "doc")
  (data (i32.const 1056) "eight")
  (data (i32.const 1072) "four")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32) (local $u i32) (local $d i32)
    (local.set $u (call $table_open (i32.const 1024) (i32.const 5)))
    (local.set $d (call $table_open (i32.const 1040) (i32.const 3)))
    (if (i32.ne (call $table_get (local.get $u) (i32.const 1056) (i32.const 5) (i32.const 0) (i32.const 0) (i32.const 16) (i32.const 64) (i32.const 256)) (i32.const -1)) (then (unreachable)))
    (if (i32.ne (call $table_get (local.get $d) (i32.const 1072) (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 18) (i32.const 64) (i32.const 256)) (i32.const -1)) (then (unreachable)))
    (local.get $record)))
