;; A record of the form without metadata has an empty map, and can't be given any, nor can what it
;; emits.
;; chunk: [{"$hex": "92 d700 6553f100 00000007 81a16101"}]
;; out: [{"event": 0}, {"$hex": "92 d700 6553f100 00000007 81a16e02"}]
(module
  (import "flb_v1" "metadata_get" (func $metadata_get (param i32 i32) (result i32)))
  (import "flb_v1" "metadata_set" (func $metadata_set (param i32 i32) (result i32)))
  (import "flb_v1" "emit" (func $emit (param i32 i32 i32 i32 i64 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "{\22n\22:2}")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (if (i32.ne (call $metadata_get (i32.const 64) (i32.const 64)) (i32.const 2)) (then (unreachable)))
    (if (i32.ne (i32.load16_u (i32.const 64)) (i32.const 32123)) (then (unreachable)))
    (if (i32.ne (call $metadata_set (i32.const 16) (i32.const 7)) (i32.const -1)) (then (unreachable)))
    (if (i32.ne (call $emit (i32.const 16) (i32.const 7) (i32.const 16) (i32.const 7) (i64.const -1) (i32.const 0)) (i32.const -1)) (then (unreachable)))
    (if (i32.ne (call $emit (i32.const 16) (i32.const 7) (i32.const 0) (i32.const 0) (i64.const -1) (i32.const 0)) (i32.const 0)) (then (unreachable)))
    (local.get $record)))
