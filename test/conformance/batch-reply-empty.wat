;; A reply without operations keeps all events.
;; chunk: [{"body": {"a": 1}}, {"body": {"b": 2}}]
;; out: "unchanged"
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\00\00\00\00\00\00\00\00" "\00\00\00\00\00\00\00\00") ;; operations on events: 0, on groups: 0
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 16)))
