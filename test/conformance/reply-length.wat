;; A reply has 32 MiB at most.
;; chunk: [{"body": {"a": 1}}]
;; out: [{"failed": 0}]
(module
  (memory (export "memory") 600)
  (data (i32.const 65536) "{\"a\":\"")
  (data (i32.const 33619976) "\"}")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (memory.fill (i32.const 65542) (i32.const 120) (i32.const 33554434))
    (i32.const 65536)))
