;; error is a failure of the event, with its code and text.
;; chunk: [{"body": {"a": 1}}, {"body": {"b": 2}}]
;; out: [{"event": 0}, {"failed": 1, "text": ["4711", "no such user"]}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\40\00\00\00\01\00\00\00" "\00\00\00\00\00\00\00\00") ;; operations on events: 1, on groups: 0
  (data (i32.const 64)
    "\01\00\00\00" "\02\00\00\00" "\67\12\00\00" "\00\00\00\00" "\00\10\00\00\0c\00\00\00" ;; 1: error
  )
  (data (i32.const 4096) "no such user")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 16)))
