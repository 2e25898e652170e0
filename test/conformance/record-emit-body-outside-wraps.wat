;; What emit is given is inside memory, with a sum that can't wrap: else it is a trap.
;; chunk: [{"group": "start", "metadata": {"g": 1}, "body": {"resource": {"r": "one"}}},
;;   {"body": {"a": 1}}, {"group": "end"}]
;; out: [{"event": 0}, {"failed": 1}, {"event": 2}]
(module
  (import "flb_v1" "emit" (func $emit (param i32 i32 i32 i32 i64 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "{}")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (drop (call $emit (i32.const 0xfffffff0) (i32.const 0x20) (i32.const 0) (i32.const 0) (i64.const -1) (i32.const 0)))
    (local.get $record)))
