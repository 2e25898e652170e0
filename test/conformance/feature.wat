;; feature is the version of a feature: 1 of batch, and 0 of one that the host does not have, be its
;; name the begin of one that it has, or longer.
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "feature" (func $feature (param i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "batches")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (if (i32.ne (call $feature (i32.const 16) (i32.const 5)) (i32.const 1)) (then (unreachable)))
    (if (call $feature (i32.const 16) (i32.const 4)) (then (unreachable)))
    (if (call $feature (i32.const 16) (i32.const 7)) (then (unreachable)))
    (if (call $feature (i32.const 16) (i32.const 0)) (then (unreachable)))
    (local.get 4)))
