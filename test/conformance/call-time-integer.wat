;; The nanoseconds are 0 if the record's time is a number of seconds.
;; chunk: [{"$hex": "92 92 ce6553f100 80 81a16101"}]
;; out: "unchanged"
(module
  (memory (export "memory") 17)
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (if (i32.ne (local.get $sec) (i32.const 1700000000)) (then (unreachable)))
    (if (local.get $nsec) (then (unreachable)))
    (local.get $record)))
