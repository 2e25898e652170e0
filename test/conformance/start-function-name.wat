;; The function may have any name.
;; options: {"function_name": "filter/2: der Größe nach"}
;; chunk: [{"body": {"a": 1}}]
;; out: []
(module
  (memory (export "memory") 17)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (unreachable))
  (func (export "filter/2: der Größe nach") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 0)))
