;; A breach in the operations on an event is a failure of that event, and those on the others take
;; effect.
;; chunk: [{"body": {"n": 0}}, {"body": {"n": 1}}, {"body": {"n": 2}}, {"body": {"n": 3}},
;;   {"body": {"n": 4}}]
;; out: [{"body": {"n": 0, "x": 1}}, {"failed": 1}, {"body": {"n": 3, "x": 1}}, {"event": 4}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\40\00\00\00\05\00\00\00" "\00\00\00\00\00\00\00\00") ;; operations on events: 5, on groups: 0
  (data (i32.const 64)
    "\00\00\00\00" "\05\00\00\00" "\00\00\00\00" "\00\00\00\00" "\00\10\00\00\03\00\00\00" ;; 0: set
    "\01\00\00\00" "\05\00\00\00" "\00\00\00\00" "\00\00\00\00" "\10\10\00\00\03\00\00\00" ;; 1: set
    "\01\00\00\00" "\0a\00\00\00" "\00\00\00\00" "\00\00\00\00" "\00\00\00\00\00\00\00\00" ;; 1: operation 10
    "\02\00\00\00" "\01\00\00\00" "\00\00\00\00" "\00\00\00\00" "\00\00\00\00\00\00\00\00" ;; 2: drop
    "\03\00\00\00" "\05\00\00\00" "\00\00\00\00" "\00\00\00\00" "\20\10\00\00\03\00\00\00" ;; 3: set
  )
  (data (i32.const 4096) "\a1x\01")
  (data (i32.const 4112) "\a1x\01")
  (data (i32.const 4128) "\a1x\01")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 16)))
