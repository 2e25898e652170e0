;; A record that fails by the timeout has none of its changes: time, metadata and group stay, and
;; nothing is emitted.
;; options: {"timeout": "200ms"}
;; chunk: [{"group": "start", "metadata": {"g": 1}, "body": {"resource": {"r": "one"}}},
;;   {"body": {"a": 1}}, {"group": "end"}]
;; out: [{"event": 0}, {"failed": 1}, {"event": 2}]
(module
  (import "flb_v1" "time_set" (func $time_set (param i64 i32) (result i32)))
  (import "flb_v1" "metadata_set" (func $metadata_set (param i32 i32) (result i32)))
  (import "flb_v1" "group_set" (func $group_set (param i32 i32) (result i32)))
  (import "flb_v1" "emit" (func $emit (param i32 i32 i32 i32 i64 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "{\22n\22:2}")
  (data (i32.const 32) "x")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (if (i32.ne (call $time_set (i64.const 7) (i32.const 8)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (call $metadata_set (i32.const 16) (i32.const 7)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (call $group_set (i32.const 16) (i32.const 7)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (call $emit (i32.const 16) (i32.const 7) (i32.const 0) (i32.const 0) (i64.const -1) (i32.const 0)) (i32.const 0)) (then (unreachable)))
    (loop $for_ever (br $for_ever))
    (i32.const 0)))
