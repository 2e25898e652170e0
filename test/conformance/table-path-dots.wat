;; A member whose name is all that is left of a path goes before one whose name is what is left up to
;; the first dot.
;; options: {"table.doc": "$DIR/doc.json"}
;; files: {"doc.json": "{\"x\": {\"a.b\": 1, \"a\": {\"b\": 2, \"c.d\": 3, \"c\": {\"e\": 4}}}}"}
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "table_open" (func $table_open (param i32 i32) (result i32)))
  (import "flb_v1" "table_get" (func $table_get (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 1024) "doc")
  (data (i32.const 1040) "1")
  (data (i32.const 1056) "x")
  (data (i32.const 1072) "a.b")
  (data (i32.const 1088) "3")
  (data (i32.const 1104) "x")
  (data (i32.const 1120) "a.c.d")
  (data (i32.const 1136) "4")
  (data (i32.const 1152) "x")
  (data (i32.const 1168) "a.c.e")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32) (local $d i32)
    (local.set $d (call $table_open (i32.const 1024) (i32.const 3)))
    (if (i32.ne (call $table_get (local.get $d) (i32.const 1056) (i32.const 1) (i32.const 1072) (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 256)) (i32.const 1)) (then (unreachable)))
    (call $same (i32.const 1040) (i32.const 64) (i32.const 1))
    (if (i32.ne (call $table_get (local.get $d) (i32.const 1104) (i32.const 1) (i32.const 1120) (i32.const 5) (i32.const 0) (i32.const 64) (i32.const 256)) (i32.const 1)) (then (unreachable)))
    (call $same (i32.const 1088) (i32.const 64) (i32.const 1))
    (if (i32.ne (call $table_get (local.get $d) (i32.const 1152) (i32.const 1) (i32.const 1168) (i32.const 5) (i32.const 0) (i32.const 64) (i32.const 256)) (i32.const 1)) (then (unreachable)))
    (call $same (i32.const 1136) (i32.const 64) (i32.const 1))
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
