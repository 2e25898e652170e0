;; The operations on one event follow each other. Others are a failure of all events of the batch.
;; chunk: [{"body": {"a": 1}}, {"body": {"b": 2}}]
;; out: [{"failed": 0}, {"failed": 1}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\40\00\00\00\03\00\00\00" "\00\00\00\00\00\00\00\00") ;; operations on events: 3, on groups: 0
  (data (i32.const 64)
    "\00\00\00\00" "\05\00\00\00" "\00\00\00\00" "\00\00\00\00" "\00\10\00\00\03\00\00\00" ;; 0: set
    "\01\00\00\00" "\01\00\00\00" "\00\00\00\00" "\00\00\00\00" "\00\00\00\00\00\00\00\00" ;; 1: drop
    "\00\00\00\00" "\05\00\00\00" "\00\00\00\00" "\00\00\00\00" "\10\10\00\00\03\00\00\00" ;; 0: set
  )
  (data (i32.const 4096) "\a1x\01")
  (data (i32.const 4112) "\a1y\01")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 16)))
