;; time_set sets the record's time, which time_get gives then. Nothing else of the record changes.
;; chunk: [{"time": [5, 6], "metadata": {"m": [1, "x"]}, "body": {"a": 1}}]
;; out: [{"time": [4294967293, 999999999], "metadata": {"m": [1, "x"]}, "body": {"a": 1}}]
(module
  (import "flb_v1" "time_get" (func $time_get (result i64)))
  (import "flb_v1" "time_set" (func $time_set (param i64 i32) (result i32)))
  (memory (export "memory") 17)
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (if (i32.ne (call $time_set (i64.const 4294967293) (i32.const 999999999)) (i32.const 0)) (then (unreachable)))
    (if (i64.ne (call $time_get) (i64.const 4294967293999999999)) (then (unreachable)))
    (local.get $record)))
