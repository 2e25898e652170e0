;; With what it emits, a record makes 64 MiB of events at most. Else it fails: here, 70 with 1 MiB of
;; metadata each.
;; chunk: [{"metadata": {"m": {"$repeat": ["x", 1048576]}}, "body": {"a": 1}}]
;; out: [{"failed": 0}]
(module
  (import "flb_v1" "emit" (func $emit (param i32 i32 i32 i32 i64 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "{}")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32) (local $i i32)
    (loop $next
      (if (i32.ne (call $emit (i32.const 16) (i32.const 2) (i32.const 0) (i32.const 0) (i64.const -1) (i32.const 0)) (i32.const 0)) (then (unreachable)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 70))))
    (local.get $record)))
