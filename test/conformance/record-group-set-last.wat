;; The last record to set a group is heard, and those after get by group_get what was set.
;; chunk: [{"group": "start", "metadata": {"g": 1}, "body": {"resource": {"r": "one"}}},
;;   {"body": {"a": 1}}, {"body": {"a": 2}}, {"group": "end"}]
;; out: [{"group": "start", "metadata": {"g": 1}, "body": {"n": 3}}, {"event": 1}, {"event": 2},
;;   {"event": 3}]
(module
  (import "flb_v1" "group_get" (func $group_get (param i32 i32) (result i32)))
  (import "flb_v1" "group_set" (func $group_set (param i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "{\22n\22:2}")
  (data (i32.const 32) "{\22n\22:3}")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (if (i32.eq (i32.load8_u (i32.add (local.get $record) (i32.const 5))) (i32.const 49)) ;; {"a":1}
      (then
        (if (i32.ne (call $group_set (i32.const 16) (i32.const 7)) (i32.const 0)) (then (unreachable)))
        (return (local.get $record))))
    (if (i32.ne (call $group_get (i32.const 64) (i32.const 64)) (i32.const 7)) (then (unreachable)))
    (call $same (i32.const 16) (i32.const 64) (i32.const 7))
    (if (i32.ne (call $group_set (i32.const 32) (i32.const 7)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (call $group_get (i32.const 64) (i32.const 64)) (i32.const 7)) (then (unreachable)))
    (call $same (i32.const 32) (i32.const 64) (i32.const 7))
    (local.get $record))
  ;; Traps unless the bytes at two addresses are the same.
  (func $same (param $a i32) (param $b i32) (param $n i32)
    (loop $next
      (if (local.get $n)
        (then
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (if (i32.ne (i32.load8_u (i32.add (local.get $a) (local.get $n))) (i32.load8_u (i32.add (local.get $b) (local.get $n))))
            (then (unreachable)))
          (br $next))))))
