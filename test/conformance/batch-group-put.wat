;; put replaces a value of a marker's body, and add adds one.
;; chunk: [{"group": "start", "metadata": {"g": 1}, "body": {"resource": {"r": "one"}}},
;;   {"body": {"n": 1}}, {"group": "end"}, {"body": {"n": 2}}]
;; out: [{"group": "start", "metadata": {"g": 1}, "body": {"resource": {"r": "***"}, "x": 1}},
;;   {"event": 1}, {"event": 2}, {"event": 3}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\00\00\00\00\00\00\00\00" "\00\08\00\00\02\00\00\00") ;; operations on events: 0, on groups: 2
  (data (i32.const 2048)
    "\00\00\00\00" "\08\00\00\00" "\0d\00\00\00" "\04\00\00\00" "\00\10\00\00\04\00\00\00" ;; 0: put
    "\00\00\00\00" "\06\00\00\00" "\01\00\00\00" "\00\00\00\00" "\10\10\00\00\03\00\00\00" ;; 0: add
  )
  (data (i32.const 4096) "\a3***")
  (data (i32.const 4112) "\a1x\01")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 16)))
