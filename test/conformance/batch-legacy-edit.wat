;; An event without metadata keeps its form when its body and time are changed.
;; chunk: [{"$hex": "92 d700 6553f100 00000007 81a16101"}]
;; out: [{"$hex": "92 d700 00000005 00000006 82a16101a17801"}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\40\00\00\00\02\00\00\00" "\00\00\00\00\00\00\00\00") ;; operations on events: 2, on groups: 0
  (data (i32.const 64)
    "\00\00\00\00" "\03\00\00\00" "\05\00\00\00" "\06\00\00\00" "\00\00\00\00\00\00\00\00" ;; 0: time
    "\00\00\00\00" "\05\00\00\00" "\00\00\00\00" "\00\00\00\00" "\00\10\00\00\03\00\00\00" ;; 0: set
  )
  (data (i32.const 4096) "\a1x\01")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 16)))
