;; An event that emits and has nothing else stays byte for byte.
;; chunk: [{"$hex": "92 92 d700 00000005 00000006 de0001a16dccff df00000001d90161dc0001d1002a"}]
;; out: [{"event": 0}, {"$hex": "92 92 d700 00000005 00000006 de0001a16dccff 81a16e01"}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\40\00\00\00\01\00\00\00" "\00\00\00\00\00\00\00\00") ;; operations on events: 1, on groups: 0
  (data (i32.const 64)
    "\00\00\00\00" "\09\00\00\00" "\00\00\00\00" "\00\00\00\00" "\10\10\00\00\20\00\00\00" ;; 0: emit
  )
  (data (i32.const 4096) "\81\a1n\01")
  (data (i32.const 4112) "\ff\ff\ff\ff\ff\ff\ff\ff\00\00\00\00\ff\ff\ff\ff\00\00\00\00\00\00\00\00\00\10\00\00\04\00\00\00")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 16)))
