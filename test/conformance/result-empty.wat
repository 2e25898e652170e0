;; The address of a 0 byte drops the record.
;; chunk: [{"body": {"a": 1}}]
;; out: []
(module
  (memory (export "memory") 17)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 16)))
