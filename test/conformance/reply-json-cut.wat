;; A reply of JSON is a whole and valid object, and not the begin of an object.
;; chunk: [{"body": {"a": 1}}]
;; out: [{"failed": 0}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "{\"a\":\00")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 16)))
