;; With event_format msgpack the reply is one MessagePack map, wherever there are zeros in it.
;; options: {"event_format": "msgpack"}
;; chunk: [{"time": [5, 6], "metadata": {"m": 1}, "body": {"a": 1}}]
;; out: [{"$hex": "92 92 d700 00000005 00000006 81a16d01 82 a16200 a16ec4020000"}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\82\a1b\00\a1n\c4\02\00\00\c1")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 16)))
