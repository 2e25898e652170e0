;; If flb_buffer takes longer than timeout, all events of the batch fail.
;; options: {"timeout": "200ms"}
;; chunk: [{"body": {"a": {"$repeat": ["x", 1000000]}}}]
;; out: [{"failed": 0}]
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (memory (export "memory") 70)
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param $size i32) (result i32)
    (if (i32.gt_u (local.get $size) (i32.const 1000000)) (then (loop $for_ever (br $for_ever))))
    (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32)
    (i32.const 0)))
