;; A reply of MessagePack ends inside memory: no length is believed.
;; options: {"event_format": "msgpack"}
;; chunk: [{"body": {"a": 1}}]
;; out: [{"failed": 0}]
(module
  (memory (export "memory") 17)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local $end i32)
    (local.set $end (i32.shl (memory.size) (i32.const 16)))
    (i64.store (i32.sub (local.get $end) (i32.const 8)) (i64.const 0xffffffffdb61a181)) ;; a map, "a", a text of 4 GiB
    (i32.sub (local.get $end) (i32.const 8))))
