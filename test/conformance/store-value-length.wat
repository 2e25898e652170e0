;; A value has 1,048,576 bytes at most: for a longer one there is no room, and the value of before
;; stays.
;; options: {"store_limit": "4M"}
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "store_get" (func $store_get (param i32 i32 i32 i32) (result i32)))
  (import "flb_v1" "store_set" (func $store_set (param i32 i32 i32 i32 i64) (result i32)))
  (memory (export "memory") 34)
  (data (i32.const 16) "key")
  (data (i32.const 32) "value")
  (data (i32.const 48) "other")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (if (i32.ne (call $store_set (i32.const 16) (i32.const 3) (i32.const 65536) (i32.const 1048576) (i64.const 0)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (call $store_get (i32.const 16) (i32.const 3) (i32.const 0) (i32.const 0)) (i32.const 1048576)) (then (unreachable)))
    (if (i32.ne (call $store_set (i32.const 16) (i32.const 3) (i32.const 65536) (i32.const 1048577) (i64.const 0)) (i32.const -1)) (then (unreachable)))
    (if (i32.ne (call $store_get (i32.const 16) (i32.const 3) (i32.const 0) (i32.const 0)) (i32.const 1048576)) (then (unreachable)))
    (local.get $record)))
