;; drop does not go with operations on the body. Else the event fails, and none of its operations takes
;; effect.
;; chunk: [{"time": [5, 6], "metadata": {"m": 1}, "body": {"a": 1, "b": [2], "c": "three"}},
;;   {"body": {"b": 2}}]
;; out: [{"failed": 0}, {"event": 1}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\40\00\00\00\02\00\00\00" "\00\00\00\00\00\00\00\00") ;; operations on events: 2, on groups: 0
  (data (i32.const 64)
    "\00\00\00\00" "\01\00\00\00" "\00\00\00\00" "\00\00\00\00" "\00\00\00\00\00\00\00\00" ;; 0: drop
    "\00\00\00\00" "\05\00\00\00" "\00\00\00\00" "\00\00\00\00" "\00\10\00\00\03\00\00\00" ;; 0: set
  )
  (data (i32.const 4096) "\a1x\01")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 16)))
