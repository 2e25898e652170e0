;; error on a group goes with nothing else. Else all events of the batch fail.
;; chunk: [{"group": "start", "metadata": {"g": 1}, "body": {"resource": {"r": "one"}}},
;;   {"body": {"n": 1}}, {"group": "end"}, {"body": {"n": 2}}]
;; out: [{"event": 0}, {"failed": 1}, {"event": 2}, {"failed": 3}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\00\00\00\00\00\00\00\00" "\00\08\00\00\02\00\00\00") ;; operations on events: 0, on groups: 2
  (data (i32.const 2048)
    "\00\00\00\00" "\02\00\00\00" "\01\00\00\00" "\00\00\00\00" "\10\10\00\00\01\00\00\00" ;; 0: error
    "\00\00\00\00" "\05\01\00\00" "\00\00\00\00" "\00\00\00\00" "\00\10\00\00\03\00\00\00" ;; 0: set
  )
  (data (i32.const 4096) "\a1y\01")
  (data (i32.const 4112) "x")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 16)))
