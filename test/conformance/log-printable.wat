;; Text of the module in the log is printable: it can't end a line or move a cursor.
;; log: [["info", "before", "after"]]
;; not_log: ["\u001b", "\r", "\u0000", "\u202e"]
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "before\1b[2K\r\00\e2\80\ae\ff after")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (call $log (i32.const 3) (i32.const 16) (i32.const 22))
    (local.get 4)))
