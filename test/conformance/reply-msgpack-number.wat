;; A reply of MessagePack is a whole and valid map, and not a number.
;; options: {"event_format": "msgpack"}
;; chunk: [{"body": {"a": 1}}]
;; out: [{"failed": 0}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\2a")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 16)))
