;; The bytes of the input are the module's to write to: events that are kept come out as they came, and
;; the next batch has a new input.
;; chunk: [{"body": {"a": 1}}, {"body": {"b": 2}}]
;; out: "unchanged"
;; chunk: [{"body": {"a": 1}}, {"body": {"b": 2}}]
;; out: "unchanged"
(module
  (memory (export "memory") 17)
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32)
    (if (i32.ne (i32.load offset=0 (local.get $input)) (i32.const 64)) (then (unreachable)))
    (if (i32.ne (i32.load offset=20 (local.get $input)) (i32.const 2)) (then (unreachable)))
    (memory.fill (local.get $input) (i32.const 255) (local.get $length))
    (i32.const 0)))
