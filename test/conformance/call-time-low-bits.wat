;; The seconds are the low 32 bits of the record's time.
;; chunk: [{"$hex": "92 92 cf0000000100000005 80 81a16101"}]
;; out: "unchanged"
(module
  (memory (export "memory") 17)
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (if (i32.ne (local.get $sec) (i32.const 5)) (then (unreachable)))
    (local.get $record)))
