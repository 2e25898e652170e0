;; Together with what it emits, a record makes 64 MiB of events at most. Else it fails: here, 70 with 1
;; MiB of metadata each.
;; chunk: [{"metadata": {"m": {"$repeat": ["x", 1048576]}}, "body": {"a": 1}}]
;; out: [{"failed": 0}]
(module
  (memory (export "memory") 60)
  (data (i32.const 64) "\ff\ff\ff\ff\ff\ff\ff\ff" "\00\00\00\00" "\ff\ff\ff\ff" "\00\00\00\00" "\00\00\00\00" "\60\00\00\00" "\01\00\00\00") ;; the event
  (data (i32.const 96) "\80") ;; its body
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32)
    (local $i i32) (local $op i32)
    (i32.store (i32.const 16) (i32.const 1024))
    (i32.store (i32.const 20) (i32.const 70))
    (loop $next
      (local.set $op (i32.add (i32.const 1024) (i32.mul (local.get $i) (i32.const 24))))
      (i32.store8 offset=4 (local.get $op) (i32.const 9)) ;; emit
      (i32.store offset=16 (local.get $op) (i32.const 64))
      (i32.store offset=20 (local.get $op) (i32.const 32))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 70))))
    (i32.const 16)))
