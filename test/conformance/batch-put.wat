;; put replaces the value at an offset of the part, by one of any length and type.
;; chunk: [{"time": [5, 6], "metadata": {"m": 1}, "body": {"a": 1, "b": [2], "c": "three"}}]
;; out: [{"time": [5, 6], "metadata": {"m": 1}, "body": {"a": {"long": "x"}, "b": [null], "c": "three"}}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\40\00\00\00\02\00\00\00" "\00\00\00\00\00\00\00\00") ;; operations on events: 2, on groups: 0
  (data (i32.const 64)
    "\00\00\00\00" "\08\00\00\00" "\03\00\00\00" "\01\00\00\00" "\00\10\00\00\08\00\00\00" ;; 0: put
    "\00\00\00\00" "\08\00\00\00" "\07\00\00\00" "\01\00\00\00" "\10\10\00\00\01\00\00\00" ;; 0: put
  )
  (data (i32.const 4096) "\81\a4long\a1x")
  (data (i32.const 4112) "\c0")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 16)))
