;; A batch has at least one event, and at most batch_records.
;; options: {"batch_records": "2"}
;; chunk: [{"body": {"n": 0}}, {"body": {"n": 1}}, {"body": {"n": 2}}, {"body": {"n": 3}},
;;   {"body": {"n": 4}}]
;; out: "unchanged"
(module
  (memory (export "memory") 17)
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32)
    (local $events i32)
    (local.set $events (i32.load offset=20 (local.get $input)))
    (if (i32.eqz (local.get $events)) (then (unreachable)))
    (if (i32.gt_u (local.get $events) (i32.const 2)) (then (unreachable)))
    (i32.const 0)))
