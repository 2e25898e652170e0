;; replace puts a map in the place of a marker's body.
;; chunk: [{"group": "start", "metadata": {"g": 1}, "body": {"resource": {"r": "one"}}},
;;   {"body": {"n": 1}}, {"group": "end"}, {"body": {"n": 2}}]
;; out: [{"group": "start", "metadata": {"g": 1}, "body": {"resource": {}}}, {"event": 1}, {"event": 2},
;;   {"event": 3}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\00\00\00\00\00\00\00\00" "\00\08\00\00\01\00\00\00") ;; operations on events: 0, on groups: 1
  (data (i32.const 2048)
    "\00\00\00\00" "\04\00\00\00" "\00\00\00\00" "\00\00\00\00" "\00\10\00\00\0b\00\00\00" ;; 0: replace
  )
  (data (i32.const 4096) "\81\a8resource\80")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 16)))
