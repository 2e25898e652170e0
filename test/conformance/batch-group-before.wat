;; A group that began before the batch is in its table, with its marker's metadata and body. Its first
;; field is 0, for the batch before has been answered.
;; options: {"batch_records": "1"}
;; chunk: [{"group": "start", "metadata": {"g": 1}, "body": {"resource": {"r": "one"}}},
;;   {"body": {"n": 1}}, {"body": {"n": 2}}, {"group": "end"}]
;; out: "unchanged"
(module
  (memory (export "memory") 17)
  (global $first (mut i32) (i32.const 1))
  (data (i32.const 32) "\81\a8resource\81\a1r\a3one")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32)
    (local $group i32)
    (if (i32.ne (i32.load offset=20 (local.get $input)) (i32.const 1)) (then (unreachable)))
    (if (i32.ne (i32.load offset=32 (local.get $input)) (i32.const 1)) (then (unreachable)))
    (local.set $group (i32.add (local.get $input) (i32.load offset=28 (local.get $input))))
    ;; 1 in the first batch, 0 in the second.
    (if (i32.ne (i32.load (local.get $group)) (global.get $first)) (then (unreachable)))
    (if (i32.ne (i32.load offset=20 (local.get $group)) (i32.const 17)) (then (unreachable)))
    (call $same (i32.const 32) (i32.add (local.get $input) (i32.load offset=16 (local.get $group))) (i32.const 17))
    (global.set $first (i32.const 0))
    (i32.const 0))
  ;; Traps unless the bytes at two addresses are the same.
  (func $same (param $a i32) (param $b i32) (param $n i32)
    (loop $next
      (if (local.get $n)
        (then
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (if (i32.ne (i32.load8_u (i32.add (local.get $a) (local.get $n))) (i32.load8_u (i32.add (local.get $b) (local.get $n))))
            (then (unreachable)))
          (br $next))))))
