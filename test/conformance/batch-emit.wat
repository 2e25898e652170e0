;; emit makes further events, behind the event and behind those emitted before: with the time and
;; metadata of the event, as its operations leave them, or their own.
;; chunk: [{"time": [5, 6], "metadata": {"m": 1}, "body": {"a": 1, "b": [2], "c": "three"}},
;;   {"body": {"b": 2}}]
;; out: [{"time": [1, 2], "metadata": {"m": 1, "x": 1}, "body": {"a": 1, "b": [2], "c": "three"}},
;;   {"time": [1, 2], "metadata": {"m": 1, "x": 1}, "body": {"n": 1}},
;;   {"time": [7, 8], "metadata": {"y": 1}, "body": {"n": 2}}, {"event": 1}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\40\00\00\00\04\00\00\00" "\00\00\00\00\00\00\00\00") ;; operations on events: 4, on groups: 0
  (data (i32.const 64)
    "\00\00\00\00" "\03\00\00\00" "\01\00\00\00" "\02\00\00\00" "\00\00\00\00\00\00\00\00" ;; 0: time
    "\00\00\00\00" "\05\01\00\00" "\00\00\00\00" "\00\00\00\00" "\30\10\00\00\03\00\00\00" ;; 0: set
    "\00\00\00\00" "\09\00\00\00" "\00\00\00\00" "\00\00\00\00" "\40\10\00\00\20\00\00\00" ;; 0: emit
    "\00\00\00\00" "\09\00\00\00" "\00\00\00\00" "\00\00\00\00" "\60\10\00\00\20\00\00\00" ;; 0: emit
  )
  (data (i32.const 4096) "\81\a1n\01")
  (data (i32.const 4112) "\81\a1y\01")
  (data (i32.const 4128) "\81\a1n\02")
  (data (i32.const 4144) "\a1x\01")
  (data (i32.const 4160) "\ff\ff\ff\ff\ff\ff\ff\ff\00\00\00\00\ff\ff\ff\ff\00\00\00\00\00\00\00\00\00\10\00\00\04\00\00\00")
  (data (i32.const 4192) "\07\00\00\00\00\00\00\00\08\00\00\00\ff\ff\ff\ff\10\10\00\00\04\00\00\00 \10\00\00\04\00\00\00")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 16)))
