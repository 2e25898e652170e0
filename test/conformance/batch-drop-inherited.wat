;; What a dropped event emits has the time and metadata that operations give it, whatever order they stand
;; in.
;; chunk: [{"time": [5, 6], "metadata": {"m": 1}, "body": {"a": 1, "b": [2], "c": "three"}},
;;   {"body": {"b": 2}}]
;; out: [{"time": [1, 2], "metadata": {"m": 1, "x": 1}, "body": {"n": 1}}, {"event": 1}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\40\00\00\00\04\00\00\00" "\00\00\00\00\00\00\00\00") ;; operations on events: 4, on groups: 0
  (data (i32.const 64)
    "\00\00\00\00" "\09\00\00\00" "\00\00\00\00" "\00\00\00\00" "\40\10\00\00\20\00\00\00" ;; 0: emit
    "\00\00\00\00" "\01\00\00\00" "\00\00\00\00" "\00\00\00\00" "\00\00\00\00\00\00\00\00" ;; 0: drop
    "\00\00\00\00" "\05\01\00\00" "\00\00\00\00" "\00\00\00\00" "\30\10\00\00\03\00\00\00" ;; 0: set
    "\00\00\00\00" "\03\00\00\00" "\01\00\00\00" "\02\00\00\00" "\00\00\00\00\00\00\00\00" ;; 0: time
  )
  (data (i32.const 4096) "\81\a1n\01")
  (data (i32.const 4144) "\a1x\01")
  (data (i32.const 4160) "\ff\ff\ff\ff\ff\ff\ff\ff\00\00\00\00\ff\ff\ff\ff\00\00\00\00\00\00\00\00\00\10\00\00\04\00\00\00")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 16)))
