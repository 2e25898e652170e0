;; Metadata does not nest 31 deep, if it did not as it came. Else the event fails.
;; chunk: [{"body": {"a": 1}}, {"body": {"b": 2}}]
;; out: [{"failed": 0}, {"event": 1}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\40\00\00\00\01\00\00\00" "\00\00\00\00\00\00\00\00") ;; operations on events: 1, on groups: 0
  (data (i32.const 64)
    "\00\00\00\00" "\04\01\00\00" "\00\00\00\00" "\00\00\00\00" "\00\10\00\00\5e\00\00\00" ;; 0: replace
  )
  (data (i32.const 4096) "\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\81\a1a\01")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 16)))
