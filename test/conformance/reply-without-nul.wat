;; If a reply has no NUL in the first 4,096 bytes and twice as many as the record has, the first value
;; is the reply, and what follows the object is ignored.
;; chunk: [{"body": {"a": 1}}]
;; out: [{"body": {"n": 1}}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "{\"n\":1}")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (memory.fill (i32.const 23) (i32.const 120) (i32.const 8192))
    (i32.const 16)))
