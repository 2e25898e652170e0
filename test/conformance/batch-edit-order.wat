;; put, remove, set and add take effect in that order, whatever order they stand in: a key that put
;; gives can be removed, and a key that is removed can be set.
;; chunk: [{"$hex": "92 92 d700 00000005 00000006 80 82a16101a16202"}]
;; out: [{"$hex": "92 92 d700 00000005 00000006 80 83a16202a17803a17804"}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\40\00\00\00\04\00\00\00" "\00\00\00\00\00\00\00\00") ;; operations on events: 4, on groups: 0
  (data (i32.const 64)
    "\00\00\00\00" "\06\00\00\00" "\01\00\00\00" "\00\00\00\00" "\00\10\00\00\03\00\00\00" ;; 0: add
    "\00\00\00\00" "\05\00\00\00" "\00\00\00\00" "\00\00\00\00" "\10\10\00\00\03\00\00\00" ;; 0: set
    "\00\00\00\00" "\07\00\00\00" "\00\00\00\00" "\00\00\00\00" "\20\10\00\00\02\00\00\00" ;; 0: remove
    "\00\00\00\00" "\08\00\00\00" "\01\00\00\00" "\02\00\00\00" "\30\10\00\00\02\00\00\00" ;; 0: put
  )
  (data (i32.const 4096) "\a1x\04")
  (data (i32.const 4112) "\a1x\03")
  (data (i32.const 4128) "\a1x")
  (data (i32.const 4144) "\a1x")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 16)))
