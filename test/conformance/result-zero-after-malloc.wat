;; The result 0 drops the record if memory was refused to the module's own malloc, before the call.
;; options: {"memory_limit": "2M"}
;; chunk: [{"body": {"a": 1}}]
;; out: []
(module
  (memory (export "memory") 17)
  (func (export "malloc") (param i32) (result i32) (drop (memory.grow (i32.const 1000))) (i32.const 65536))
  (func (export "free") (param i32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 0)))
