;; A marker's body may be anything. Other than a map it is not edited: all events of the batch fail.
;; chunk: [{"group": "start", "metadata": {"g": 1}, "body": 5}, {"body": {"n": 1}}, {"group": "end"}]
;; out: [{"event": 0}, {"failed": 1}, {"event": 2}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\00\00\00\00\00\00\00\00" "\00\08\00\00\01\00\00\00") ;; operations on events: 0, on groups: 1
  (data (i32.const 2048)
    "\00\00\00\00" "\06\00\00\00" "\01\00\00\00" "\00\00\00\00" "\00\10\00\00\03\00\00\00" ;; 0: add
  )
  (data (i32.const 4096) "\a1k\01")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 16)))
