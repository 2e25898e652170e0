;; With retry_batch on, the events of a failed batch go to a new instance in smaller batches, so that
;; the one that fails stands alone.
;; options: {"retry_batch": "on"}
;; chunk: [{"body": {"n": 0}}, {"body": {"n": 1}}, {"body": {"n": 2}}, {"body": {"bad": 1}},
;;   {"body": {"n": 4}}]
;; out: [{"event": 0}, {"event": 1}, {"event": 2}, {"failed": 3}, {"event": 4}]
(module
  (memory (export "memory") 17)
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32)
    (local $event i32) (local $i i32)
    ;; A body {"bad": ...} in the batch is a trap.
    (local.set $event (i32.add (local.get $input) (i32.load offset=16 (local.get $input))))
    (loop $next
      (if (i32.eq (i32.load (i32.add (local.get $input) (i32.load offset=24 (local.get $event)))) (i32.const 0x6162a381))
        (then (unreachable)))
      (local.set $event (i32.add (local.get $event) (i32.load offset=24 (local.get $input))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.load offset=20 (local.get $input)))))
    (i32.const 0)))
