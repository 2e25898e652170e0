;; Body, metadata and time of an event may be changed together.
;; chunk: [{"time": [5, 6], "metadata": {"m": 1}, "body": {"a": 1, "b": [2], "c": "three"}}]
;; out: [{"time": [7, 8], "metadata": {"y": 2}, "body": {"a": 1, "b": [2], "c": "three", "x": 1}}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\40\00\00\00\03\00\00\00" "\00\00\00\00\00\00\00\00") ;; operations on events: 3, on groups: 0
  (data (i32.const 64)
    "\00\00\00\00" "\05\00\00\00" "\00\00\00\00" "\00\00\00\00" "\00\10\00\00\03\00\00\00" ;; 0: set
    "\00\00\00\00" "\04\01\00\00" "\00\00\00\00" "\00\00\00\00" "\10\10\00\00\04\00\00\00" ;; 0: replace
    "\00\00\00\00" "\03\00\00\00" "\07\00\00\00" "\08\00\00\00" "\00\00\00\00\00\00\00\00" ;; 0: time
  )
  (data (i32.const 4096) "\a1x\01")
  (data (i32.const 4112) "\81\a1y\02")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 16)))
