;; emit_to returns -2 for a tag that no pattern of emit_tags matches, that has no bytes, more than 1,024, or a
;; control character; and -1 for one that is granted if there is no body, or the time is none.
;; options: {"emit_tags": "other.*"}
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "emit_to" (func $emit_to (param i32 i32 i32 i32 i32 i32 i64 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "{\22n\22:1}")
  (data (i32.const 64) "other")
  (data (i32.const 80) "other.\1f")
  (data (i32.const 96) "other.\7f")
  (data (i32.const 4096) "other.")
  (func $to (param $tag i32) (param $len i32) (param $body i32) (param $sec i64) (param $want i32)
    (if (i32.ne (call $emit_to (local.get $tag) (local.get $len) (i32.const 16) (local.get $body) (i32.const 0) (i32.const 0) (local.get $sec) (i32.const 0)) (local.get $want))
      (then unreachable)))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (memory.fill (i32.const 4102) (i32.const 0x74) (i32.const 2000))
    (call $to (i32.const 64) (i32.const 5) (i32.const 7) (i64.const -1) (i32.const -2))
    (call $to (i32.const 64) (i32.const 0) (i32.const 7) (i64.const -1) (i32.const -2))
    (call $to (i32.const 80) (i32.const 7) (i32.const 7) (i64.const -1) (i32.const -2))
    (call $to (i32.const 96) (i32.const 7) (i32.const 7) (i64.const -1) (i32.const -2))
    (call $to (i32.const 4096) (i32.const 1025) (i32.const 7) (i64.const -1) (i32.const -2))
    (call $to (i32.const 4096) (i32.const 1024) (i32.const 0) (i64.const -1) (i32.const -1))
    (call $to (i32.const 4096) (i32.const 1024) (i32.const 7) (i64.const 0xfffffffe) (i32.const -1))
    (local.get 4)))
