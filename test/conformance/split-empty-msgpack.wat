;; With split on, an empty array drops the record.
;; options: {"split": "on", "event_format": "msgpack"}
;; chunk: [{"body": {"a": 1}}]
;; out: []
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\90")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 16)))
