;; put, set, add and remove apply in that order: what is set or removed is looked for in what put has
;; left.
;; chunk: [{"body": {"a": 1, "b": 2, "c": 3}}]
;; out: [{"body": {"x": 3, "c": 3, "last": 2}}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\40\00\00\00\05\00\00\00" "\00\00\00\00\00\00\00\00") ;; operations on events: 5, on groups: 0
  (data (i32.const 64)
    "\00\00\00\00" "\07\00\00\00" "\00\00\00\00" "\00\00\00\00" "\00\10\00\00\02\00\00\00" ;; 0: remove
    "\00\00\00\00" "\06\00\00\00" "\01\00\00\00" "\00\00\00\00" "\10\10\00\00\06\00\00\00" ;; 0: add
    "\00\00\00\00" "\05\00\00\00" "\00\00\00\00" "\00\00\00\00" "\20\10\00\00\03\00\00\00" ;; 0: set
    "\00\00\00\00" "\08\00\00\00" "\01\00\00\00" "\02\00\00\00" "\30\10\00\00\02\00\00\00" ;; 0: put
    "\00\00\00\00" "\08\00\00\00" "\04\00\00\00" "\02\00\00\00" "\40\10\00\00\02\00\00\00" ;; 0: put
  )
  (data (i32.const 4096) "\a1y")
  (data (i32.const 4112) "\a4last\02")
  (data (i32.const 4128) "\a1x\03")
  (data (i32.const 4144) "\a1x")
  (data (i32.const 4160) "\a1y")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 16)))
