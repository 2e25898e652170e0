;; Keys that are no texts are the same if their bytes are.
;; chunk: [{"$hex": "92 92 d700 00000005 00000006 80 820101cc0102"}]
;; out: [{"$hex": "92 92 d700 00000005 00000006 80 820109cc0102"}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\40\00\00\00\01\00\00\00" "\00\00\00\00\00\00\00\00") ;; operations on events: 1, on groups: 0
  (data (i32.const 64)
    "\00\00\00\00" "\05\00\00\00" "\00\00\00\00" "\00\00\00\00" "\00\10\00\00\02\00\00\00" ;; 0: set
  )
  (data (i32.const 4096) "\01\09")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 16)))
