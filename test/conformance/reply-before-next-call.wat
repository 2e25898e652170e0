;; A reply is read before the module is called again: the buffer is the same for all records.
;; chunk: [{"body": {"a": 1}}, {"body": {"a": 2}}, {"body": {"a": 3}}]
;; out: [{"body": {"n": 1}}, {"body": {"n": 2}}, {"body": {"n": 3}}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "{\"n\":0}")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (i32.store8 (i32.const 21) (i32.add (i32.load8_u (i32.const 21)) (i32.const 1)))
    (i32.const 16)))
