;; Keys that are set and removed in a part have 65,536 bytes at most in all. Else the event fails.
;; chunk: [{"time": [5, 6], "metadata": {"m": 1}, "body": {"a": 1, "b": [2], "c": "three"}},
;;   {"body": {"b": 2}}]
;; out: [{"failed": 0}, {"event": 1}]
(module
  (memory (export "memory") 17)
  (data (i32.const 64) "\da\01\2c") ;; a key of 303 bytes
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32)
    (local $i i32) (local $op i32)
    (i32.store (i32.const 16) (i32.const 131072))
    (i32.store (i32.const 20) (i32.const 220))
    (loop $next
      (local.set $op (i32.add (i32.const 131072) (i32.mul (local.get $i) (i32.const 24))))
      (i32.store8 offset=4 (local.get $op) (i32.const 5)) ;; set
      (i32.store offset=16 (local.get $op) (i32.const 64))
      (i32.store offset=20 (local.get $op) (i32.const 304))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 220))))
    (i32.const 16)))
