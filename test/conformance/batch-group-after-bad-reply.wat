;; It is so too if a batch failed by its reply.
;; options: {"batch_records": "1"}
;; chunk: [{"group": "start", "metadata": {"g": 1}, "body": {"resource": {"r": "one"}}},
;;   {"body": {"n": 1}}, {"body": {"n": 2}}, {"body": {"n": 3}}, {"group": "end"}]
;; out: [{"group": "start", "metadata": {"g": 1, "x": 1}, "body": {"r": 2}}, {"failed": 1}, {"event": 2},
;;   {"event": 3}, {"event": 4}]
(module
  (memory (export "memory") 17)
  (global $calls (mut i32) (i32.const 0))
  (data (i32.const 16) "\00\00\00\00\00\00\00\00" "\00\08\00\00\02\00\00\00") ;; operations on events: 0, on groups: 2
  (data (i32.const 2048)
    "\00\00\00\00" "\05\01\00\00" "\00\00\00\00" "\00\00\00\00" "\00\10\00\00\03\00\00\00" ;; 0: set
    "\00\00\00\00" "\04\00\00\00" "\00\00\00\00" "\00\00\00\00" "\10\10\00\00\04\00\00\00" ;; 0: replace
  )
  (data (i32.const 4096) "\a1x\01")
  (data (i32.const 4112) "\81\a1r\02")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (if (i32.eq (global.get $calls) (i32.const 1)) (then (return (i32.const -1)))) ;; outside memory
    ;; The first field is 1 in the second call, and 0 in the third.
    (if (i32.ne (i32.load (i32.add (local.get $input) (i32.load offset=28 (local.get $input)))) (i32.lt_u (global.get $calls) (i32.const 3)))
      (then (unreachable)))
    (select (i32.const 16) (i32.const 0) (i32.eq (global.get $calls) (i32.const 2)))))
