;; Of a reply without a NUL, too, whole objects and white space up to the next NUL are several records:
;; without split that is a failure.
;; options: {"timeout": "5s"}
;; chunk: [{"body": {"a": 1}}]
;; out: [{"failed": 0}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "{\"n\":1}")
  (data (i32.const 8192) "{\"n\":2}\00")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (memory.fill (i32.const 23) (i32.const 32) (i32.const 8169))
    (i32.const 16)))
