;; With event_format msgpack, what is emitted has the bytes that are given.
;; options: {"event_format": "msgpack"}
;; chunk: [{"body": {"a": 1}}]
;; out: [{"event": 0}, {"$hex": "92 92 d700 00000007 00000008 81a17901 de0001a16dccff"}]
(module
  (import "flb_v1" "emit" (func $emit (param i32 i32 i32 i32 i64 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "\de\00\01\a1m\cc\ff")
  (data (i32.const 32) "\81\a1y\01")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (if (i32.ne (call $emit (i32.const 16) (i32.const 7) (i32.const 32) (i32.const 4) (i64.const 7) (i32.const 8)) (i32.const 0)) (then (unreachable)))
    (local.get $record)))
