;; With event_format msgpack the record is one MessagePack map: the bytes that the chunk has. A NUL
;; follows, which the length does not count.
;; options: {"event_format": "msgpack"}
;; chunk: [{"$hex": "92 92 d700 6553f100 075bcd15 80 de0001 d90161 d20000002a"}]
;; out: "unchanged"
(module
  (memory (export "memory") 17)
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (if (i32.ne (local.get $record_len) (i32.const 11)) (then (unreachable)))
    (if (i64.ne (i64.load (local.get $record)) (i64.const 0x00d26101d90100de)) (then (unreachable)))
    (if (i32.ne (i32.load16_u offset=8 (local.get $record)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (i32.load16_u offset=10 (local.get $record)) (i32.const 42)) (then (unreachable))) ;; and a NUL
    (local.get $record)))
