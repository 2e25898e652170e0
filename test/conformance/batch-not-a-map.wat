;; Events that are no maps do not go to the module, and are a failure.
;; chunk: [{"body": {"a": 1}}, {"$hex": "92 92 d700 6553f100 00000007 80 2a"}, {"body": {"b": 2}}]
;; out: [{"failed": 1}, {"event": 2}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\40\00\00\00\01\00\00\00" "\00\00\00\00\00\00\00\00") ;; operations on events: 1, on groups: 0
  (data (i32.const 64)
    "\00\00\00\00" "\01\00\00\00" "\00\00\00\00" "\00\00\00\00" "\00\00\00\00\00\00\00\00" ;; 0: drop
  )
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32)
    (if (i32.ne (i32.load offset=20 (local.get $input)) (i32.const 2)) (then (unreachable)))
    (i32.const 16)))
