;; If a key is there several times, set leaves one.
;; chunk: [{"$hex": "92 92 d700 00000005 00000006 80 83a16101a16202a16103"}]
;; out: [{"time": [5, 6], "body": {"a": 9, "b": 2}}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\40\00\00\00\01\00\00\00" "\00\00\00\00\00\00\00\00") ;; operations on events: 1, on groups: 0
  (data (i32.const 64)
    "\00\00\00\00" "\05\00\00\00" "\00\00\00\00" "\00\00\00\00" "\00\10\00\00\03\00\00\00" ;; 0: set
  )
  (data (i32.const 4096) "\a1a\09")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 16)))
