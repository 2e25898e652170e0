;; The function is given the seconds and nanoseconds of the record's time.
;; chunk: [{"time": [4294967290, 999999999], "body": {"a": 1}}]
;; out: "unchanged"
(module
  (memory (export "memory") 17)
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (if (i32.ne (local.get $sec) (i32.const 4294967290)) (then (unreachable)))
    (if (i32.ne (local.get $nsec) (i32.const 999999999)) (then (unreachable)))
    (local.get $record)))
