;; An error on a group is one of that batch: the next batch that has it may let it pass.
;; options: {"batch_records": "1"}
;; chunk: [{"group": "start", "body": {"resource": {"r": "one"}}}, {"body": {"n": 1}}, {"body": {"n": 2}}]
;; out: [{"event": 0}, {"failed": 1}, {"event": 2}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\00\00\00\00\00\00\00\00" "\00\08\00\00\01\00\00\00") ;; operations on events: 0, on groups: 1
  (data (i32.const 2048)
    "\00\00\00\00" "\02\00\00\00" "\07\00\00\00" "\00\00\00\00" "\00\10\00\00\02\00\00\00" ;; 0: error
  )
  (data (i32.const 4096) "no")
  (global $called (mut i32) (i32.const 0))
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32)
    (if (global.get $called) (then (return (i32.const 0))))
    (global.set $called (i32.const 1))
    (i32.const 16)))
