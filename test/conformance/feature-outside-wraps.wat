;; The sum of address and length can't wrap: a name of feature that would is a trap.
;; chunk: [{"body": {"a": 1}}]
;; out: [{"failed": 0}]
(module
  (import "flb_v1" "feature" (func $feature (param i32 i32) (result i32)))
  (memory (export "memory") 17)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (drop (call $feature (i32.const 0xfffffff0) (i32.const 0x20)))
    (local.get 4)))
