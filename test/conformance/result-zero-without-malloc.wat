;; The result 0 is a failure if an allocation of the host's malloc was refused in that call.
;; options: {"memory_limit": "2M"}
;; chunk: [{"body": {"a": 1}}]
;; out: [{"failed": 0}]
(module
  (import "env" "malloc" (func $malloc (param i32) (result i32)))
  (memory (export "memory") 17)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (if (call $malloc (i32.const 100000000)) (then (unreachable)))
    (i32.const 0)))
