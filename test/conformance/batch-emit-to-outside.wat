;; A tag of emit_to that is not inside memory is a breach, though a pattern would match any.
;; options: {"emit_tags": "*"}
;; chunk: [{"body": {"a": 1}}, {"body": {"b": 2}}]
;; out: [{"failed": 0, "text": ["tag"]}, {"event": 1}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\40\00\00\00\02\00\00\00" "\00\00\00\00\00\00\00\00") ;; operations on events: 2, on groups: 0
  (data (i32.const 64)
    "\00\00\00\00" "\01\00\00\00" "\00\00\00\00" "\00\00\00\00" "\00\00\00\00\00\00\00\00" ;; 0: drop
    "\00\00\00\00" "\0a\00\00\00" "\00\00\00\00" "\00\00\00\00" "\40\10\00\00\28\00\00\00" ;; 0: emit_to
  )
  (data (i32.const 4096) "\81\a1n\01")
  (data (i32.const 4112) "other")
  (data (i32.const 4160) "\ff\ff\ff\ff\ff\ff\ff\ff\00\00\00\00\ff\ff\ff\ff\00\00\00\00\00\00\00\00\00\10\00\00\04\00\00\00\00\00\12\00\01\00\00\00")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32) (i32.const 16)))
