;; A module that imports a function of the store does not start without store_limit, which the message
;; names with the function.
;; refused: ["store_get", "store_limit"]
(module
  (import "flb_v1" "store_get" (func $store_get (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32) (i32.const 0)))
