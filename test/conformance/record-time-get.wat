;; time_get is the record's time in nanoseconds since the epoch.
;; chunk: [{"time": [4294967290, 999999999], "body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "time_get" (func $time_get (result i64)))
  (memory (export "memory") 17)
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (if (i64.ne (call $time_get) (i64.const 4294967290999999999)) (then (unreachable)))
    (local.get $record)))
