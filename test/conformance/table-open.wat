;; table_open returns the number of a table by its name, whose upper and lower case of ASCII are the
;; same, and -1 for a name that is not set.
;; options: {"table.users": "$DIR/users.csv", "table.Doc": "$DIR/doc.json"}
;; files: {"users.csv": "id,name,dept\n7,Ann,D1\neight,Bob,\n7,Anna,\"D2, \"\"x\"\"\"\n", "doc.json": "{\"x\": {\"a\": {\"b\": [1, -2, {\"c\": \"deep\"}]}, \"n\": null, \"t\": true, \"f\": 0.5}, \"s\": \"text\"}"}
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "table_open" (func $table_open (param i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 1024) "users")
  (data (i32.const 1040) "doc")
  (data (i32.const 1056) "USERS")
  (data (i32.const 1072) "user")
  (data (i32.const 1088) "userss")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32) (local $u i32) (local $d i32)
    (local.set $u (call $table_open (i32.const 1024) (i32.const 5)))
    (local.set $d (call $table_open (i32.const 1040) (i32.const 3)))
    (if (i32.lt_s (local.get $u) (i32.const 0)) (then (unreachable)))
    (if (i32.lt_s (local.get $d) (i32.const 0)) (then (unreachable)))
    (if (i32.eq (local.get $u) (local.get $d)) (then (unreachable)))
    (if (i32.ne (call $table_open (i32.const 1056) (i32.const 5)) (local.get $u)) (then (unreachable)))
    (if (i32.ne (call $table_open (i32.const 1072) (i32.const 4)) (i32.const -1)) (then (unreachable)))
    (if (i32.ne (call $table_open (i32.const 1088) (i32.const 6)) (i32.const -1)) (then (unreachable)))
    (if (i32.ne (call $table_open (i32.const 0) (i32.const 0)) (i32.const -1)) (then (unreachable)))
    (local.get $record)))
