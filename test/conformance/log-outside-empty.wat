;; An address beyond memory is a trap of log, of a text of no bytes, too.
;; chunk: [{"body": {"a": 1}}]
;; out: [{"failed": 0}]
(module
  (import "flb_v1" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 17)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (call $log (i32.const 3) (i32.add (i32.shl (memory.size) (i32.const 16)) (i32.const 1)) (i32.const 0))
    (local.get 4)))
