;; flb_buffer is called before the first batch, and what it returns is where the input is. It is not
;; called again for a batch that fits.
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (memory (export "memory") 17)
  (global $at (mut i32) (i32.const 0))
  (global $size (mut i32) (i32.const 0))
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param $size i32) (result i32)
    (if (i32.le_u (local.get $size) (global.get $size)) (then (unreachable)))
    (global.set $size (local.get $size))
    (global.set $at (i32.add (global.get $at) (i32.const 65536)))
    (global.get $at))
  (func (export "filter") (param $input i32) (param $length i32) (result i32)
    (if (i32.ne (local.get $input) (global.get $at)) (then (unreachable)))
    (if (i32.gt_u (local.get $length) (global.get $size)) (then (unreachable)))
    (i32.const 0)))
