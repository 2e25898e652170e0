;; An event of a group may emit one without a group: it stands outside of the group's markers.
;; chunk: [{"group": "start", "metadata": {"g": 1}, "body": {"resource": {"r": "one"}}},
;;   {"body": {"n": 1}}, {"body": {"n": 2}}, {"group": "end"}]
;; out: [{"event": 0}, {"event": 1}, {"event": 3}, {"body": {"n": 9}}, {"event": 0}, {"event": 2},
;;   {"event": 3}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\40\00\00\00\01\00\00\00" "\00\00\00\00\00\00\00\00") ;; operations on events: 1, on groups: 0
  (data (i32.const 64)
    "\00\00\00\00" "\09\00\00\00" "\00\00\00\00" "\00\00\00\00" "\10\10\00\00\20\00\00\00" ;; 0: emit
  )
  (data (i32.const 4096) "\81\a1n\09")
  (data (i32.const 4112) "\ff\ff\ff\ff\ff\ff\ff\ff\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\10\00\00\04\00\00\00")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 16)))
