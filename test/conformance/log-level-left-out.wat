;; Lines of a level that log_level leaves out do not reach the log.
;; options: {"log_level": "warn"}
;; log: [["error", "line one"], ["warn", "line two"]]
;; not_log: ["line three"]
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "line one")
  (data (i32.const 32) "line two")
  (data (i32.const 48) "line three")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (call $log (i32.const 3) (i32.const 48) (i32.const 10))
    (call $log (i32.const 1) (i32.const 16) (i32.const 8))
    (call $log (i32.const 2) (i32.const 32) (i32.const 8))
    (call $log (i32.const 3) (i32.const 48) (i32.const 10))
    (local.get 4)))
