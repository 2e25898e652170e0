;; A reply of JSON ends inside memory.
;; chunk: [{"body": {"a": 1}}]
;; out: [{"failed": 0}]
(module
  (memory (export "memory") 17)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local $end i32)
    (local.set $end (i32.shl (memory.size) (i32.const 16)))
    (i64.store (i32.sub (local.get $end) (i32.const 8)) (i64.const 0x7878223a2261227b)) ;; {"a":"xx
    (i32.sub (local.get $end) (i32.const 8))))
