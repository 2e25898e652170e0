;; group_get gives the body of the marker that begins the record's group, and -1 if the record is in
;; none.
;; chunk: [{"group": "start", "metadata": {"g": 1}, "body": {"resource": {"r": "one"}}},
;;   {"body": {"a": 1}}, {"body": {"a": 2}}, {"group": "end"}, {"body": {"b": 3}}]
;; out: "unchanged"
(module
  (import "flb_v1" "group_get" (func $group_get (param i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "{\22resource\22:{\22r\22:\22one\22}}")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (if (i32.eq (i32.load8_u (i32.add (local.get $record) (i32.const 2))) (i32.const 98))
      (then
        (if (i32.ne (call $group_get (i32.const 64) (i32.const 64)) (i32.const -1)) (then (unreachable)))
        (return (local.get $record))))
    (if (i32.ne (call $group_get (i32.const 0) (i32.const 0)) (i32.const 24)) (then (unreachable)))
    (if (i32.ne (call $group_get (i32.const 64) (i32.const 23)) (i32.const 24)) (then (unreachable)))
    (if (i32.ne (i32.load (i32.const 64)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (call $group_get (i32.const 64) (i32.const 64)) (i32.const 24)) (then (unreachable)))
    (call $same (i32.const 16) (i32.const 64) (i32.const 24))
    (memory.fill (i32.const 64) (i32.const 0) (i32.const 64))
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
