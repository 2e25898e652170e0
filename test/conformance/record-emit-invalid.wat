;; The body of what is emitted is valid. Else the record fails, and emits nothing.
;; chunk: [{"time": [5, 6], "metadata": {"m": [1, "x"]}, "body": {"a": 1}}, {"body": {"b": 2}}]
;; out: [{"failed": 0}, {"event": 1}]
(module
  (import "flb_v1" "emit" (func $emit (param i32 i32 i32 i32 i64 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "{\22a\22:")
  (data (i32.const 48) "{}")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    ;; Of the first record.
    (if (i32.eq (i32.load8_u (i32.add (local.get $record) (i32.const 2))) (i32.const 97))
      (then
        (if (i32.ne (call $emit (i32.const 48) (i32.const 2) (i32.const 0) (i32.const 0) (i64.const -1) (i32.const 0)) (i32.const 0)) (then (unreachable)))
        (if (i32.ne (call $emit (i32.const 16) (i32.const 5) (i32.const 32) (i32.const 0) (i64.const -1) (i32.const 0)) (i32.const 0)) (then (unreachable)))
      ))
    (local.get $record)))
