;; A reply of MessagePack is a whole and valid map, and not an array, without split.
;; options: {"event_format": "msgpack"}
;; chunk: [{"body": {"a": 1}}]
;; out: [{"failed": 0}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\91\80")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 16)))
