;; A level that log does not have is a trap: 0.
;; chunk: [{"body": {"a": 1}}]
;; out: [{"failed": 0}]
;; not_log: ["some text"]
(module
  (import "flb_v1" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "some text")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (call $log (i32.const 0) (i32.const 16) (i32.const 9))
    (local.get 4)))
