;; What group_set sets is an object. Else the record fails, and the group stays as it was.
;; chunk: [{"group": "start", "metadata": {"g": 1}, "body": {"resource": {"r": "one"}}},
;;   {"body": {"a": 1}}, {"body": {"a": 2}}, {"group": "end"}]
;; out: [{"event": 0}, {"failed": 1}, {"failed": 2}, {"event": 3}]
(module
  (import "flb_v1" "group_set" (func $group_set (param i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "[]")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (if (i32.ne (call $group_set (i32.const 16) (i32.const 2)) (i32.const 0)) (then (unreachable)))
    (local.get $record)))
