;; What metadata_set sets is an object. Else the record fails, and has none of its changes.
;; chunk: [{"time": [5, 6], "metadata": {"m": [1, "x"]}, "body": {"a": 1}}, {"body": {"b": 2}}]
;; out: [{"failed": 0}, {"event": 1}]
(module
  (import "flb_v1" "metadata_set" (func $metadata_set (param i32 i32) (result i32)))
  (import "flb_v1" "time_set" (func $time_set (param i64 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "[]")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    ;; Of the first record.
    (if (i32.eq (i32.load8_u (i32.add (local.get $record) (i32.const 2))) (i32.const 97))
      (then
        (if (i32.ne (call $time_set (i64.const 7) (i32.const 8)) (i32.const 0)) (then (unreachable)))
        (if (i32.ne (call $metadata_set (i32.const 16) (i32.const 2)) (i32.const 0)) (then (unreachable)))
      ))
    (local.get $record)))
