;; error on a group: its events in the batch fail, whatever else is said of them, and no others. It has not
;; been answered for: the next batch that has it may change it.
;; options: {"batch_records": "3"}
;; chunk: [{"body": {"n": 1}},
;;   {"group": "start", "metadata": {"g": 1}, "body": {"resource": {"r": "one"}}},
;;   {"body": {"n": 2}}, {"body": {"n": 3}}, {"body": {"n": 4}}, {"group": "end"}, {"body": {"n": 5}}]
;; out: [{"metadata": {"y": 1}, "body": {"n": 1}},
;;   {"group": "start", "metadata": {"g": 1, "y": 1}, "body": {"resource": {"r": "one"}}},
;;   {"failed": 2}, {"failed": 3}, {"event": 4}, {"event": 5}, {"event": 6}]
;; log: [["error", "group", "code 7", "no"], ["error", "record 2 ", "code 7", "no"]]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\40\00\00\00\02\00\00\00" "\00\08\00\00\01\00\00\00") ;; operations on events: 2, on groups: 1
  (data (i32.const 32) "\00\00\00\00\00\00\00\00" "\40\08\00\00\01\00\00\00") ;; of the second batch: none, 1
  (data (i32.const 64)
    "\00\00\00\00" "\05\01\00\00" "\00\00\00\00" "\00\00\00\00" "\00\10\00\00\03\00\00\00" ;; 0: set
    "\01\00\00\00" "\05\01\00\00" "\00\00\00\00" "\00\00\00\00" "\00\10\00\00\03\00\00\00" ;; 1: set
  )
  (data (i32.const 2048)
    "\00\00\00\00" "\02\00\00\00" "\07\00\00\00" "\00\00\00\00" "\10\10\00\00\02\00\00\00" ;; 0: error
  )
  (data (i32.const 2112)
    "\00\00\00\00" "\05\01\00\00" "\00\00\00\00" "\00\00\00\00" "\00\10\00\00\03\00\00\00" ;; 0: set
  )
  (data (i32.const 4096) "\a1y\01")
  (data (i32.const 4112) "no")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32)
    ;; The first batch has three events, the second one two.
    (if (i32.eq (i32.const 3) (i32.load offset=20 (local.get $input))) (then (return (i32.const 16))))
    ;; The group's first field is 1 still.
    (if (i32.ne (i32.const 1) (i32.load (i32.add (local.get $input) (i32.load offset=28 (local.get $input)))))
      (then (unreachable)))
    (i32.const 32)))
