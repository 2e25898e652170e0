;; A reply does not nest 32 deep, if the record does not.
;; chunk: [{"body": {"a": 1}}]
;; out: [{"failed": 0}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":1}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}\00")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 16)))
