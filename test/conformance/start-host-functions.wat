;; Host functions may be called in start functions.
;; options: {"config.a": "b"}
;; log: [["info", "from the start function"]]
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "log" (func $log (param i32 i32 i32)))
  (import "flb_v1" "log_enabled" (func $enabled (param i32) (result i32)))
  (import "flb_v1" "config_count" (func $count (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "from the start function")
  (func $start
    (call $log (i32.const 3) (i32.const 16) (i32.const 23))
    (if (i32.ne (call $enabled (i32.const 3)) (i32.const 1)) (then (unreachable)))
    (if (i32.ne (call $count) (i32.const 1)) (then (unreachable))))
  (start $start)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local.get 4)))
