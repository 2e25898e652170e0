;; The reply of a batch is read before the module is called again.
;; options: {"batch_records": "1"}
;; chunk: [{"body": {}}, {"body": {}}, {"body": {}}]
;; out: [{"body": {"x": 1}}, {"body": {"x": 2}}, {"body": {"x": 3}}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "\40\00\00\00\01\00\00\00" "\00\00\00\00\00\00\00\00") ;; operations on events: 1, on groups: 0
  (data (i32.const 64)
    "\00\00\00\00" "\05\00\00\00" "\00\00\00\00" "\00\00\00\00" "\00\10\00\00\03\00\00\00" ;; 0: set
  )
  (data (i32.const 4096) "\a1x\00")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32)
    (i32.store8 (i32.const 4098) (i32.add (i32.load8_u (i32.const 4098)) (i32.const 1)))
    (i32.const 16)))
