;; drop drops the event, and keeps the others byte for byte.
;; chunk: [{"body": {"n": 0}}, {"body": {"n": 1}}, {"body": {"n": 2}}, {"body": {"n": 3}}]
;; out: [{"event": 1}, {"event": 3}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\40\00\00\00\02\00\00\00" "\00\00\00\00\00\00\00\00") ;; operations on events: 2, on groups: 0
  (data (i32.const 64)
    "\00\00\00\00" "\01\00\00\00" "\00\00\00\00" "\00\00\00\00" "\00\00\00\00\00\00\00\00" ;; 0: drop
    "\02\00\00\00" "\01\00\00\00" "\00\00\00\00" "\00\00\00\00" "\00\00\00\00\00\00\00\00" ;; 2: drop
  )
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 16)))
