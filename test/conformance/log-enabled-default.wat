;; log_enabled is 1 for levels whose lines reach the log, up to info unless log_level says otherwise, else 0, for levels
;; that there are not, too.
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "log_enabled" (func $enabled (param i32) (result i32)))
  (memory (export "memory") 17)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (if (i32.ne (call $enabled (i32.const 0)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (call $enabled (i32.const 1)) (i32.const 1)) (then (unreachable)))
    (if (i32.ne (call $enabled (i32.const 2)) (i32.const 1)) (then (unreachable)))
    (if (i32.ne (call $enabled (i32.const 3)) (i32.const 1)) (then (unreachable)))
    (if (i32.ne (call $enabled (i32.const 4)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (call $enabled (i32.const 5)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (call $enabled (i32.const 6)) (i32.const 0)) (then (unreachable)))
    (local.get 4)))
