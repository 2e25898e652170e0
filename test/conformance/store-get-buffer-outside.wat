;; What store_get is given is inside memory: else it is a trap.
;; options: {"store_limit": "1M"}
;; chunk: [{"body": {"a": 1}}]
;; out: [{"failed": 0}]
(module
  (import "flb_v1" "store_get" (func $store_get (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "key")
  (data (i32.const 32) "value")
  (data (i32.const 48) "other")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (drop (call $store_get (i32.const 16) (i32.const 3) (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 4)) (i32.const 5)))
    (local.get $record)))
