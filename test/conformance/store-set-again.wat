;; store_set replaces a value by one of any length.
;; options: {"store_limit": "1M"}
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "store_get" (func $store_get (param i32 i32 i32 i32) (result i32)))
  (import "flb_v1" "store_set" (func $store_set (param i32 i32 i32 i32 i64) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "key")
  (data (i32.const 32) "value")
  (data (i32.const 48) "other")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (if (i32.ne (call $store_set (i32.const 16) (i32.const 3) (i32.const 32) (i32.const 5) (i64.const 0)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (call $store_set (i32.const 16) (i32.const 3) (i32.const 48) (i32.const 2) (i64.const 0)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (call $store_get (i32.const 16) (i32.const 3) (i32.const 64) (i32.const 64)) (i32.const 2)) (then (unreachable)))
    (call $same (i32.const 48) (i32.const 64) (i32.const 2))
    (if (i32.ne (i32.load8_u (i32.const 66)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (call $store_set (i32.const 16) (i32.const 3) (i32.const 32) (i32.const 0) (i64.const 0)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (call $store_get (i32.const 16) (i32.const 3) (i32.const 64) (i32.const 64)) (i32.const 0)) (then (unreachable)))
    (local.get $record))
  ;; Traps unless the bytes at two addresses are the same.
  (func $same (param $a i32) (param $b i32) (param $n i32)
    (loop $next
      (if (local.get $n)
        (then
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (if (i32.ne (i32.load8_u (i32.add (local.get $a) (local.get $n))) (i32.load8_u (i32.add (local.get $b) (local.get $n))))
            (then (unreachable)))
          (br $next))))))
