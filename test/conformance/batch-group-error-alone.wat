;; A group without events may have an error, which the log has; it stays as it came.
;; chunk: [{"body": {"n": 1}}, {"group": "start", "body": {"resource": {"r": "one"}}}, {"group": "end"}]
;; out: "unchanged"
;; log: [["error", "group", "code 7", "no"]]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\00\00\00\00\00\00\00\00" "\00\08\00\00\01\00\00\00") ;; operations on events: 0, on groups: 1
  (data (i32.const 2048)
    "\00\00\00\00" "\02\00\00\00" "\07\00\00\00" "\00\00\00\00" "\00\10\00\00\02\00\00\00" ;; 0: error
  )
  (data (i32.const 4096) "no")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 16)))
