;; group_set changes the body of the marker that begins the record's group, also for records before, and
;; -1 says that the record is in none.
;; chunk: [{"group": "start", "metadata": {"g": 1}, "body": {"resource": {"r": "one"}}},
;;   {"body": {"a": 1}}, {"body": {"a": 2}}, {"group": "end"}, {"body": {"b": 3}}]
;; out: [{"group": "start", "metadata": {"g": 1}, "body": {"n": 2}}, {"event": 1}, {"event": 2},
;;   {"event": 3}, {"event": 4}]
(module
  (import "flb_v1" "group_set" (func $group_set (param i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "{\22n\22:2}")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (if (i32.eq (i32.load8_u (i32.add (local.get $record) (i32.const 5))) (i32.const 50)) ;; {"a":2}
      (then
        (if (i32.ne (call $group_set (i32.const 16) (i32.const 7)) (i32.const 0)) (then (unreachable)))
        (return (local.get $record))))
    (if (i32.eq (i32.load8_u (i32.add (local.get $record) (i32.const 5))) (i32.const 51)) ;; {"b":3}
      (then
        (if (i32.ne (call $group_set (i32.const 16) (i32.const 7)) (i32.const -1)) (then (unreachable)))
        (return (local.get $record))))
    (local.get $record)))
