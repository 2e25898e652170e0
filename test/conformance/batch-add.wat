;; add adds members as the last ones, be their keys there or not.
;; chunk: [{"$hex": "92 92 d700 00000005 00000006 80 81a16101"}]
;; out: [{"$hex": "92 92 d700 00000005 00000006 80 83a16101a17801a16102"}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\40\00\00\00\01\00\00\00" "\00\00\00\00\00\00\00\00") ;; operations on events: 1, on groups: 0
  (data (i32.const 64)
    "\00\00\00\00" "\06\00\00\00" "\02\00\00\00" "\00\00\00\00" "\00\10\00\00\06\00\00\00" ;; 0: add
  )
  (data (i32.const 4096) "\a1x\01\a1a\02")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 16)))
