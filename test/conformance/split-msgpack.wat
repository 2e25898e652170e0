;; With split on, a reply may be an array of maps. Each becomes an event with the time and metadata of
;; the record.
;; options: {"split": "on", "event_format": "msgpack"}
;; chunk: [{"time": [5, 6], "metadata": {"m": 1}, "body": {"a": 1}}]
;; out: [{"time": [5, 6], "metadata": {"m": 1}, "body": {"n": 1}},
;;   {"time": [5, 6], "metadata": {"m": 1}, "body": {"n": 2}}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\92\81\a1n\01\81\a1n\02")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 16)))
