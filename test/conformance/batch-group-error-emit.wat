;; Nothing can be emitted to a group that has an error.
;; chunk: [{"body": {"n": 1}}, {"group": "start", "body": {"resource": {"r": "one"}}}, {"group": "end"}]
;; out: [{"failed": 0}, {"event": 1}, {"event": 2}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\40\00\00\00\01\00\00\00" "\00\08\00\00\01\00\00\00") ;; operations on events: 1, on groups: 1
  (data (i32.const 64)
    "\00\00\00\00" "\09\00\00\00" "\00\00\00\00" "\00\00\00\00" "\00\10\00\00\20\00\00\00" ;; 0: emit
  )
  (data (i32.const 2048)
    "\00\00\00\00" "\02\00\00\00" "\07\00\00\00" "\00\00\00\00" "\40\10\00\00\02\00\00\00" ;; 0: error
  )
  (data (i32.const 4096) "\ff\ff\ff\ff\ff\ff\ff\ff" "\00\00\00\00" "\01\00\00\00" "\00\00\00\00\00\00\00\00" "\50\10\00\00\01\00\00\00")
  (data (i32.const 4160) "no")
  (data (i32.const 4176) "\80")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 16)))
