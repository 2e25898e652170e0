;; The record is the current one from the call of the module's malloc on.
;; chunk: [{"time": [5, 6], "metadata": {"m": [1, "x"]}, "body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "time_get" (func $time_get (result i64)))
  (memory (export "memory") 17)
  (func (export "malloc") (param i32) (result i32)
    (if (i64.ne (call $time_get) (i64.const 5000000006)) (then (unreachable)))
    (i32.const 65536))
  (func (export "free") (param i32))
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (local.get $record)))
