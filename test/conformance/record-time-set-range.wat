;; time_set returns -1 for seconds that are not from 0 to 2^32-3, and nanoseconds of a second and more,
;; and sets nothing.
;; chunk: [{"time": [5, 6], "metadata": {"m": [1, "x"]}, "body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "time_get" (func $time_get (result i64)))
  (import "flb_v1" "time_set" (func $time_set (param i64 i32) (result i32)))
  (memory (export "memory") 17)
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (if (i32.ne (call $time_set (i64.const -1) (i32.const 0)) (i32.const -1)) (then (unreachable)))
    (if (i32.ne (call $time_set (i64.const 4294967294) (i32.const 0)) (i32.const -1)) (then (unreachable)))
    (if (i32.ne (call $time_set (i64.const 4294967295) (i32.const 0)) (i32.const -1)) (then (unreachable)))
    (if (i32.ne (call $time_set (i64.const 4294967296) (i32.const 0)) (i32.const -1)) (then (unreachable)))
    (if (i32.ne (call $time_set (i64.const 5) (i32.const 1000000000)) (i32.const -1)) (then (unreachable)))
    (if (i32.ne (call $time_set (i64.const 5) (i32.const -1)) (i32.const -1)) (then (unreachable)))
    (if (i64.ne (call $time_get) (i64.const 5000000006)) (then (unreachable)))
    (local.get $record)))
