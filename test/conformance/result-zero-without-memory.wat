;; The result 0 is a failure if memory.grow was refused in that call.
;; options: {"memory_limit": "2M"}
;; chunk: [{"body": {"a": 1}}]
;; out: [{"failed": 0}]
(module
  (memory (export "memory") 17)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (if (i32.ne (memory.grow (i32.const 1000)) (i32.const -1)) (then (unreachable)))
    (i32.const 0)))
