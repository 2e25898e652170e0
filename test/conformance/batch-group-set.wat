;; Operations on a group change its marker's body and metadata.
;; chunk: [{"group": "start", "metadata": {"g": 1}, "body": {"resource": {"r": "one"}}},
;;   {"body": {"n": 1}}, {"group": "end"}, {"body": {"n": 2}}]
;; out: [{"group": "start", "metadata": {}, "body": {"resource": {"r": "one"}, "x": 1}}, {"event": 1},
;;   {"event": 2}, {"event": 3}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\00\00\00\00\00\00\00\00" "\00\08\00\00\02\00\00\00") ;; operations on events: 0, on groups: 2
  (data (i32.const 2048)
    "\00\00\00\00" "\05\00\00\00" "\00\00\00\00" "\00\00\00\00" "\00\10\00\00\03\00\00\00" ;; 0: set
    "\00\00\00\00" "\07\01\00\00" "\00\00\00\00" "\00\00\00\00" "\10\10\00\00\02\00\00\00" ;; 0: remove
  )
  (data (i32.const 4096) "\a1x\01")
  (data (i32.const 4112) "\a1g")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 16)))
