;; With event_format msgpack, metadata_set sets the bytes that it is given.
;; options: {"event_format": "msgpack"}
;; chunk: [{"time": [5, 6], "metadata": {"m": 1}, "body": {"a": 1}}]
;; out: [{"$hex": "92 92 d700 00000005 00000006 de0001a16dccff 81a16101"}]
(module
  (import "flb_v1" "metadata_set" (func $metadata_set (param i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "\de\00\01\a1m\cc\ff")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (if (i32.ne (call $metadata_set (i32.const 16) (i32.const 7)) (i32.const 0)) (then (unreachable)))
    (local.get $record)))
