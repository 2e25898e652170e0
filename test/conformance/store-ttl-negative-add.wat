;; A time to live below -1 is a trap of store_add.
;; options: {"store_limit": "1M"}
;; chunk: [{"body": {"a": 1}}]
;; out: [{"failed": 0}]
(module
  (import "flb_v1" "store_add" (func $store_add (param i32 i32 i64 i64 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "key")
  (data (i32.const 32) "value")
  (data (i32.const 48) "other")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (drop (call $store_add (i32.const 16) (i32.const 3) (i64.const 1) (i64.const -2) (i32.const 64)))
    (local.get $record)))
