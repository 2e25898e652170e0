;; A module that begins with more memory than memory_limit is not started.
;; options: {"memory_limit": "1M"}
;; refused: []
(module
  (memory (export "memory") 17)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local.get 4)))
