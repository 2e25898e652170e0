;; A trap of flb_buffer is a failure of the batch, and the next one has a new instance.
;; chunk: [{"body": {"a": {"$repeat": ["x", 1000000]}}}]
;; out: [{"failed": 0}]
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (memory (export "memory") 70)
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param $size i32) (result i32)
    (if (i32.gt_u (local.get $size) (i32.const 1000000)) (then (unreachable)))
    (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32)
    (i32.const 0)))
