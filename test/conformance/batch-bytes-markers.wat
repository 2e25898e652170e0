;; Markers count in batch_bytes, before a larger event too: they go to the module before it.
;; options: {"batch_bytes": "200"}
;; chunk: [{"group": "start", "metadata": {"g": 1}, "body": {"resource": {"r": "one"}}},
;;   {"body": {"text": {"$repeat": ["x", 600]}}}, {"group": "end"}]
;; out: [{"group": "start", "metadata": {"g": 1, "x": 1}, "body": {"r": 2}}, {"event": 1}, {"event": 2}]
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
    (if (i32.load offset=20 (local.get $input))
      (then
        (if (i32.load (i32.add (local.get $input) (i32.load offset=28 (local.get $input)))) (then (unreachable)))
        (return (i32.const 0))))
    (i32.const 16)))
