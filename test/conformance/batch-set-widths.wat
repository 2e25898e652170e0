;; Keys are the same if they are texts of the same bytes, in whatever width they are written.
;; chunk: [{"$hex": "92 92 d700 00000005 00000006 80 de0002d9016101db000000016202"}]
;; out: [{"time": [5, 6], "body": {"a": 9, "b": 8}}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\40\00\00\00\02\00\00\00" "\00\00\00\00\00\00\00\00") ;; operations on events: 2, on groups: 0
  (data (i32.const 64)
    "\00\00\00\00" "\05\00\00\00" "\00\00\00\00" "\00\00\00\00" "\00\10\00\00\05\00\00\00" ;; 0: set
    "\00\00\00\00" "\05\00\00\00" "\00\00\00\00" "\00\00\00\00" "\10\10\00\00\03\00\00\00" ;; 0: set
  )
  (data (i32.const 4096) "\da\00\01a\09")
  (data (i32.const 4112) "\a1b\08")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 16)))
