;; A group that an earlier batch was answered with can't be changed: all events of the batch fail.
;; options: {"batch_records": "1"}
;; chunk: [{"group": "start", "metadata": {"g": 1}, "body": {"resource": {"r": "one"}}},
;;   {"body": {"n": 1}}, {"body": {"n": 2}}, {"group": "end"}]
;; out: [{"group": "start", "metadata": {"g": 1}, "body": {"resource": {"r": "one"}, "x": 1}},
;;   {"event": 1}, {"failed": 2}, {"event": 3}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\00\00\00\00\00\00\00\00" "\00\08\00\00\01\00\00\00") ;; operations on events: 0, on groups: 1
  (data (i32.const 2048)
    "\00\00\00\00" "\05\00\00\00" "\00\00\00\00" "\00\00\00\00" "\00\10\00\00\03\00\00\00" ;; 0: set
  )
  (data (i32.const 4096) "\a1x\01")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 16)))
