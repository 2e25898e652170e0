;; With split on, a reply with an array of anything but records is a failure: nothing of it is taken.
;; options: {"split": "on", "event_format": "msgpack"}
;; chunk: [{"body": {"a": 1}}]
;; out: [{"failed": 0}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\92\81\a1n\01\02")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 16)))
