;; metadata_set returns -1 for more than 32 MiB, and sets nothing.
;; chunk: [{"time": [5, 6], "metadata": {"m": [1, "x"]}, "body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "metadata_set" (func $metadata_set (param i32 i32) (result i32)))
  (memory (export "memory") 600)
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (if (i32.ne (call $metadata_set (i32.const 16) (i32.const 33554433)) (i32.const -1)) (then (unreachable)))
    (local.get $record)))
