;; time sets the event's time, and nothing else.
;; chunk: [{"time": [5, 6], "metadata": {"m": 1}, "body": {"a": 1}}]
;; out: [{"time": [4294967293, 999999999], "metadata": {"m": 1}, "body": {"a": 1}}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\40\00\00\00\01\00\00\00" "\00\00\00\00\00\00\00\00") ;; operations on events: 1, on groups: 0
  (data (i32.const 64)
    "\00\00\00\00" "\03\00\00\00" "\fd\ff\ff\ff" "\ff\c9\9a\3b" "\00\00\00\00\00\00\00\00" ;; 0: time
  )
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 16)))
