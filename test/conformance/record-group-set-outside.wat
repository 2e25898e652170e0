;; What group_set is given is inside memory: else it is a trap.
;; chunk: [{"group": "start", "metadata": {"g": 1}, "body": {"resource": {"r": "one"}}},
;;   {"body": {"a": 1}}, {"group": "end"}]
;; out: [{"event": 0}, {"failed": 1}, {"event": 2}]
(module
  (import "flb_v1" "group_set" (func $group_set (param i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "{}")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (drop (call $group_set (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 1)) (i32.const 2)))
    (local.get $record)))
