;; drop goes with operations on time and metadata, which nobody gets if nothing is emitted.
;; chunk: [{"time": [5, 6], "metadata": {"m": 1}, "body": {"a": 1, "b": [2], "c": "three"}},
;;   {"body": {"b": 2}}]
;; out: [{"event": 1}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\40\00\00\00\02\00\00\00" "\00\00\00\00\00\00\00\00") ;; operations on events: 2, on groups: 0
  (data (i32.const 64)
    "\00\00\00\00" "\03\00\00\00" "\05\00\00\00" "\06\00\00\00" "\00\00\00\00\00\00\00\00" ;; 0: time
    "\00\00\00\00" "\01\00\00\00" "\00\00\00\00" "\00\00\00\00" "\00\00\00\00\00\00\00\00" ;; 0: drop
  )
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 16)))
