;; Several members are set, added ones in the order of the operations.
;; chunk: [{"time": [5, 6], "metadata": {"m": 1}, "body": {"a": 1, "b": [2], "c": "three"}}]
;; out: [{"time": [5, 6], "metadata": {"m": 1}, "body": {"a": 2, "b": [2], "c": "three", "y": 1, "x": 3}}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\40\00\00\00\03\00\00\00" "\00\00\00\00\00\00\00\00") ;; operations on events: 3, on groups: 0
  (data (i32.const 64)
    "\00\00\00\00" "\05\00\00\00" "\00\00\00\00" "\00\00\00\00" "\00\10\00\00\03\00\00\00" ;; 0: set
    "\00\00\00\00" "\05\00\00\00" "\00\00\00\00" "\00\00\00\00" "\10\10\00\00\03\00\00\00" ;; 0: set
    "\00\00\00\00" "\05\00\00\00" "\00\00\00\00" "\00\00\00\00" "\20\10\00\00\03\00\00\00" ;; 0: set
  )
  (data (i32.const 4096) "\a1y\01")
  (data (i32.const 4112) "\a1a\02")
  (data (i32.const 4128) "\a1x\03")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 16)))
