;; The text of an error is printable in what the host says.
;; not_log: ["\u001b", "\r"]
;; chunk: [{"body": {"a": 1}}]
;; out: [{"failed": 0, "text": ["before", "after"]}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\40\00\00\00\01\00\00\00" "\00\00\00\00\00\00\00\00") ;; operations on events: 1, on groups: 0
  (data (i32.const 64)
    "\00\00\00\00" "\02\00\00\00" "\07\00\00\00" "\00\00\00\00" "\00\10\00\00\13\00\00\00" ;; 0: error
  )
  (data (i32.const 4096) "before\1b[2K\0d\0a\ff after")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 16)))
