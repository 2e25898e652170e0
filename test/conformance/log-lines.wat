;; LF parts the text of log into lines.
;; log: [["info", "line one"], ["info", "line two"], ["info", "line three"]]
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "line one\nline two\nline three")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (call $log (i32.const 3) (i32.const 16) (i32.const 28))
    (local.get 4)))
