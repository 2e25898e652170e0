;; A reply of MessagePack has 32 MiB at most.
;; options: {"event_format": "msgpack"}
;; chunk: [{"body": {"a": 1}}]
;; out: [{"failed": 0}]
(module
  (memory (export "memory") 600)
  (data (i32.const 65536) "\81\a1a\db\02\00\00\00") ;; 33,554,432 bytes of text
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 65536)))
