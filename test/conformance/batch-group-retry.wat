;; In the smaller batches of retry_batch a group may be changed by the first that is answered.
;; options: {"retry_batch": "on"}
;; chunk: [{"group": "start", "metadata": {"g": 1}, "body": {"resource": {"r": "one"}}},
;;   {"body": {"bad": 1}}, {"body": {"n": 2}}, {"body": {"n": 3}}, {"group": "end"}]
;; out: [{"group": "start", "metadata": {"g": 1, "x": 1}, "body": {"r": 2}}, {"failed": 1}, {"event": 2},
;;   {"event": 3}, {"event": 4}]
(module
  (memory (export "memory") 17)
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
    (local $event i32) (local $i i32)
    ;; A body {"bad": ...} in the batch is a trap.
    (local.set $event (i32.add (local.get $input) (i32.load offset=16 (local.get $input))))
    (loop $next
      (if (i32.eq (i32.load (i32.add (local.get $input) (i32.load offset=24 (local.get $event)))) (i32.const 0x6162a381))
        (then (unreachable)))
      (local.set $event (i32.add (local.get $event) (i32.load offset=24 (local.get $input))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.load offset=20 (local.get $input)))))
    (if (i32.eqz (i32.load (i32.add (local.get $input) (i32.load offset=28 (local.get $input))))) (then (return (i32.const 0))))
    (i32.const 16)))
