;; log writes a line at the level that it is given: 1 error, 2 warn, 3 info, 4 debug, 5 trace.
;; options: {"log_level": "trace"}
;; log: [["error", "line one"], ["warn", "line two"], ["info", "line three"], ["debug", "line four"],
;;   ["trace", "line five"]]
;; not_log: ["beyond"]
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "line onebeyond")
  (data (i32.const 32) "line twobeyond")
  (data (i32.const 48) "line threebeyond")
  (data (i32.const 64) "line fourbeyond")
  (data (i32.const 80) "line fivebeyond")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (call $log (i32.const 1) (i32.const 16) (i32.const 8))
    (call $log (i32.const 2) (i32.const 32) (i32.const 8))
    (call $log (i32.const 3) (i32.const 48) (i32.const 10))
    (call $log (i32.const 4) (i32.const 64) (i32.const 9))
    (call $log (i32.const 5) (i32.const 80) (i32.const 9))
    (local.get 4)))
