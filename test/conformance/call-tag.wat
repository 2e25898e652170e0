;; The function is given the tag and its length. A NUL follows, which the length does not count.
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (memory (export "memory") 17)
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (if (i32.ne (local.get $tag_len) (i32.const 8)) (then (unreachable)))
    (if (i64.ne (i64.load (local.get $tag)) (i64.const 0x6761742d6c6c6163)) (then (unreachable))) ;; call-tag
    (if (i32.load8_u offset=8 (local.get $tag)) (then (unreachable)))
    (local.get $record)))
