;; metadata_get returns -2 for what has no JSON: an extension, and a key that is a number.
;; chunk: [{"metadata": {"m": {"$hex": "d40700"}}, "body": {"a": 1}},
;;   {"metadata": {"m": {"$hex": "81 01 02"}}, "body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "metadata_get" (func $metadata_get (param i32 i32) (result i32)))
  (memory (export "memory") 17)
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (if (i32.ne (call $metadata_get (i32.const 64) (i32.const 64)) (i32.const -2)) (then (unreachable)))
    (if (i32.ne (i32.load (i32.const 64)) (i32.const 0)) (then (unreachable)))
    (local.get $record)))
