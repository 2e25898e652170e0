;; The sum of address and length can't wrap: a text of log that would is a trap.
;; chunk: [{"body": {"a": 1}}]
;; out: [{"failed": 0}]
(module
  (import "flb_v1" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 17)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (call $log (i32.const 3) (i32.const 0xfffffff0) (i32.const 0x20))
    (local.get 4)))
