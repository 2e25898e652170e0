;; What an event of the old form emits has its form, and the time that operations give it.
;; chunk: [{"$hex": "92 05 81 a1 61 01"}]
;; out: [{"$hex": "92 d7 00 00 00 00 01 00 00 00 02 81 a1 6e 01"}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\40\00\00\00\03\00\00\00" "\00\00\00\00\00\00\00\00") ;; operations on events: 3, on groups: 0
  (data (i32.const 64)
    "\00\00\00\00" "\03\00\00\00" "\01\00\00\00" "\02\00\00\00" "\00\00\00\00\00\00\00\00" ;; 0: time
    "\00\00\00\00" "\01\00\00\00" "\00\00\00\00" "\00\00\00\00" "\00\00\00\00\00\00\00\00" ;; 0: drop
    "\00\00\00\00" "\09\00\00\00" "\00\00\00\00" "\00\00\00\00" "\40\10\00\00\20\00\00\00" ;; 0: emit
  )
  (data (i32.const 4096) "\81\a1n\01")
  (data (i32.const 4160) "\ff\ff\ff\ff\ff\ff\ff\ff\00\00\00\00\ff\ff\ff\ff\00\00\00\00\00\00\00\00\00\10\00\00\04\00\00\00")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 16)))
