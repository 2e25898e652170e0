;; Of members of a JSON object with one name the last one counts.
;; options: {"table.doc": "$DIR/doc.json"}
;; files: {"doc.json": "{\"x\": 1, \"y\": {\"a\": 1}, \"x\": 2}"}
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "table_open" (func $table_open (param i32 i32) (result i32)))
  (import "flb_v1" "table_get" (func $table_get (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 1024) "doc")
  (data (i32.const 1040) "2")
  (data (i32.const 1056) "x")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32) (local $d i32)
    (local.set $d (call $table_open (i32.const 1024) (i32.const 3)))
    (if (i32.ne (call $table_get (local.get $d) (i32.const 1056) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 64) (i32.const 256)) (i32.const 1)) (then (unreachable)))
    (call $same (i32.const 1040) (i32.const 64) (i32.const 1))
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
