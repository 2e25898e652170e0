;; No event gets the seconds of a group's end, 2^32-2. Else the event fails.
;; chunk: [{"body": {"a": 1}}, {"body": {"b": 2}}]
;; out: [{"failed": 0}, {"event": 1}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\40\00\00\00\01\00\00\00" "\00\00\00\00\00\00\00\00") ;; operations on events: 1, on groups: 0
  (data (i32.const 64)
    "\00\00\00\00" "\03\00\00\00" "\fe\ff\ff\ff" "\00\00\00\00" "\00\00\00\00\00\00\00\00" ;; 0: time
  )
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 16)))
