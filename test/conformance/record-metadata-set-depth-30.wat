;; What metadata_set sets may nest 30 deep.
;; chunk: [{"body": {"a": 1}}]
;; out: [{"metadata": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": 1}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}, "body": {"a": 1}}]
(module
  (import "flb_v1" "metadata_set" (func $metadata_set (param i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 4096) "{\22a\22:{\22a\22:{\22a\22:{\22a\22:{\22a\22:{\22a\22:{\22a\22:{\22a\22:{\22a\22:{\22a\22:{\22a\22:{\22a\22:{\22a\22:{\22a\22:{\22a\22:{\22a\22:{\22a\22:{\22a\22:{\22a\22:{\22a\22:{\22a\22:{\22a\22:{\22a\22:{\22a\22:{\22a\22:{\22a\22:{\22a\22:{\22a\22:{\22a\22:{\22a\22:1}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (if (i32.ne (call $metadata_set (i32.const 4096) (i32.const 181)) (i32.const 0)) (then (unreachable)))
    (local.get $record)))
