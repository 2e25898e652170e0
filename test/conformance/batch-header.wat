;; The input's header has 64 bytes: what its fields are, and 0 in the rest.
;; chunk: [{"body": {"a": 1}}, {"body": {"b": 2}}]
;; out: "unchanged"
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "batch-header")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32)
    (if (i32.ne (i32.load offset=0 (local.get $input)) (i32.const 64)) (then (unreachable)))
    (if (i32.ne (i32.load offset=4 (local.get $input)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (i32.load offset=20 (local.get $input)) (i32.const 2)) (then (unreachable)))
    (if (i32.ne (i32.load offset=24 (local.get $input)) (i32.const 32)) (then (unreachable)))
    (if (i32.ne (i32.load offset=32 (local.get $input)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (i32.load offset=36 (local.get $input)) (i32.const 24)) (then (unreachable)))
    (if (i32.ne (i32.load offset=40 (local.get $input)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (i32.load offset=44 (local.get $input)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (i32.load offset=48 (local.get $input)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (i32.load offset=52 (local.get $input)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (i32.load offset=56 (local.get $input)) (i32.const 0)) (then (unreachable)))
    (if (i32.ne (i32.load offset=60 (local.get $input)) (i32.const 0)) (then (unreachable)))
    ;; The tag.
    (if (i32.ne (i32.load offset=12 (local.get $input)) (i32.const 12)) (then (unreachable)))
    (call $same (i32.const 16) (i32.add (local.get $input) (i32.load offset=8 (local.get $input))) (i32.const 12))
    ;; The events lie within the input.
    (if (i32.lt_u (i32.load offset=16 (local.get $input)) (i32.const 64)) (then (unreachable)))
    (if (i32.gt_u (i32.add (i32.load offset=16 (local.get $input)) (i32.const 64)) (local.get $length)) (then (unreachable)))
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
