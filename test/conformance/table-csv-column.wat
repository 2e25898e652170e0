;; Another column of CSV is the key if the option names it.
;; options: {"table.users": "$DIR/users.csv:name", "table.doc": "$DIR/doc.json"}
;; files: {"users.csv": "id,name,dept\n7,Ann,D1\neight,Bob,\n7,Anna,\"D2, \"\"x\"\"\"\n", "doc.json": "{\"x\": {\"a\": {\"b\": [1, -2, {\"c\": \"deep\"}]}, \"n\": null, \"t\": true, \"f\": 0.5}, \"s\": \"text\"}"}
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "table_open" (func $table_open (param i32 i32) (result i32)))
  (import "flb_v1" "table_get" (func $table_get (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 1024) "users")
  (data (i32.const 1040) "doc")
  (data (i32.const 1056) "eight")
  (data (i32.const 1072) "Bob")
  (data (i32.const 1088) "id")
  (data (i32.const 1104) "{\22id\22:\22eight\22,\22dept\22:\22\22}")
  (data (i32.const 1136) "Bob")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32) (local $u i32) (local $d i32)
    (local.set $u (call $table_open (i32.const 1024) (i32.const 5)))
    (local.set $d (call $table_open (i32.const 1040) (i32.const 3)))
    (if (i32.ne (call $table_get (local.get $u) (i32.const 1072) (i32.const 3) (i32.const 1088) (i32.const 2) (i32.const 2) (i32.const 64) (i32.const 256)) (i32.const 5)) (then (unreachable)))
    (call $same (i32.const 1056) (i32.const 64) (i32.const 5))
    (if (i32.ne (call $table_get (local.get $u) (i32.const 1136) (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 64) (i32.const 256)) (i32.const 24)) (then (unreachable)))
    (call $same (i32.const 1104) (i32.const 64) (i32.const 24))
    (local.get $record))
  ;; Traps unless the bytes at two addresses are the same.
  (func $same (param $a i32) (param $b i32) (param $n i32)
    (loop $next
      (if (local.get $n)
        (then
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (if (i32.ne (i32.load8_u (i32.add (local.get $a) (local.get $n))) (i32.load8_u (i32.add (local.get $b) (local.get $n))))
            (then (unreachable)))
          (br $next))))))
