;; The groups of a batch are in its table, once each: that its marker is in the batch, and the marker's
;; metadata and body. Events have the number of their group, from 1, and 0 without one.
;; chunk: [{"group": "start", "metadata": {"g": 1}, "body": {"resource": {"r": "one"}}},
;;   {"body": {"n": 1}}, {"body": {"n": 2}}, {"group": "end"},
;;   {"group": "start", "metadata": {}, "body": {"resource": {"r": "two"}}}, {"body": {"n": 3}},
;;   {"group": "end"}, {"body": {"n": 4}}]
;; out: "unchanged"
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\81\a1g\01")
  (data (i32.const 32) "\81\a8resource\81\a1r\a3one")
  (data (i32.const 64) "\81\a8resource\81\a1r\a3two")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32)
    (local $event i32) (local $group i32)
    (if (i32.ne (i32.load offset=20 (local.get $input)) (i32.const 4)) (then (unreachable)))
    (if (i32.ne (i32.load offset=32 (local.get $input)) (i32.const 2)) (then (unreachable)))
    (if (i32.ne (i32.load offset=36 (local.get $input)) (i32.const 24)) (then (unreachable)))
    (local.set $event (i32.add (local.get $input) (i32.load offset=16 (local.get $input))))
    (if (i32.ne (i32.load offset=12 (local.get $event)) (i32.const 1)) (then (unreachable)))
    (if (i32.ne (i32.load offset=44 (local.get $event)) (i32.const 1)) (then (unreachable)))
    (if (i32.ne (i32.load offset=76 (local.get $event)) (i32.const 2)) (then (unreachable)))
    (if (i32.ne (i32.load offset=108 (local.get $event)) (i32.const 0)) (then (unreachable)))
    (local.set $group (i32.add (local.get $input) (i32.load offset=28 (local.get $input))))
    (if (i32.ne (i32.load offset=0 (local.get $group)) (i32.const 1)) (then (unreachable)))
    (if (i32.ne (i32.load offset=4 (local.get $group)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (i32.load offset=12 (local.get $group)) (i32.const 4)) (then (unreachable)))
    (if (i32.ne (i32.load offset=20 (local.get $group)) (i32.const 17)) (then (unreachable)))
    (if (i32.ne (i32.load offset=24 (local.get $group)) (i32.const 1)) (then (unreachable)))
    (if (i32.ne (i32.load offset=28 (local.get $group)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (i32.load offset=36 (local.get $group)) (i32.const 1)) (then (unreachable)))
    (if (i32.ne (i32.load offset=44 (local.get $group)) (i32.const 17)) (then (unreachable)))
    (call $same (i32.const 16) (i32.add (local.get $input) (i32.load offset=8 (local.get $group))) (i32.const 4))
    (call $same (i32.const 32) (i32.add (local.get $input) (i32.load offset=16 (local.get $group))) (i32.const 17))
    (call $same (i32.const 64) (i32.add (local.get $input) (i32.load offset=40 (local.get $group))) (i32.const 17))
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
