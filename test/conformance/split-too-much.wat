;; A reply that would make more than 64 MiB of events is a failure: here, 70 with 1 MiB of metadata each.
;; options: {"split": "on"}
;; chunk: [{"metadata": {"m": {"$repeat": ["x", 1048576]}}, "body": {"a": 1}}]
;; out: [{"failed": 0}]
(module
  (memory (export "memory") 17)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local $i i32)
    (loop $next
      (i32.store16 (i32.add (i32.const 16) (local.get $i)) (i32.const 0x7d7b)) ;; {}
      (local.set $i (i32.add (local.get $i) (i32.const 2)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 140))))
    (i32.const 16)))
