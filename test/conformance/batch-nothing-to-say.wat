;; The module is not called for what has no event, and no group that it may change: it has been answered
;; with the group when only the end of that is left.
;; options: {"batch_records": "1"}
;; chunk: [{"group": "start", "metadata": {"g": 1}, "body": {"resource": {"r": "one"}}}, {"body": {"n": 1}},
;;   {"group": "end"}]
;; out: "unchanged"
;; chunk: [{"body": {"n": 2}}]
;; out: "unchanged"
(module
  (memory (export "memory") 17)
  (global $calls (mut i32) (i32.const 0))
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (if (i32.gt_u (global.get $calls) (i32.const 2)) (then (unreachable)))
    (i32.const 0)))
