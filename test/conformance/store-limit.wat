;; What keys and values have stays within store_limit. Then there is no room, and nothing of what is
;; there goes, until something is deleted. The log says so.
;; options: {"store_limit": "64k"}
;; log: [["warn", "store"]]
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "store_get" (func $store_get (param i32 i32 i32 i32) (result i32)))
  (import "flb_v1" "store_set" (func $store_set (param i32 i32 i32 i32 i64) (result i32)))
  (import "flb_v1" "store_delete" (func $store_delete (param i32 i32) (result i32)))
  (memory (export "memory") 17)
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32) (local $n i32)
    (loop $next
      (i32.store (i32.const 16) (local.get $n))
      (if (i32.eqz (call $store_set (i32.const 16) (i32.const 16) (i32.const 64) (i32.const 8) (i64.const 0)))
        (then
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (if (i32.gt_u (local.get $n) (i32.const 2730)) (then (unreachable))) ;; 64 KiB of 24 bytes
          (br $next))))
    (if (i32.lt_u (local.get $n) (i32.const 100)) (then (unreachable)))
    (loop $next
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (i32.store (i32.const 16) (local.get $n))
        (if (i32.ne (call $store_get (i32.const 16) (i32.const 16) (i32.const 64) (i32.const 8)) (i32.const 8)) (then (unreachable)))
      (br_if $next (local.get $n)))
    (if (i32.ne (call $store_delete (i32.const 16) (i32.const 16)) (i32.const 1)) (then (unreachable)))
    (i32.store (i32.const 16) (i32.const -1))
    (if (i32.ne (call $store_set (i32.const 16) (i32.const 16) (i32.const 64) (i32.const 8) (i64.const 0)) (i32.const 0)) (then (unreachable)))
    (local.get $record)))
