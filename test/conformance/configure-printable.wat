;; Text of the module in a message is printable.
;; refused: ["before", "after"]
;; not_log: ["\u001b", "\r", "\u202e"]
(module
  (memory (export "memory") 1)
  (data (i32.const 16) "before\1b[2K\r\n\e2\80\ae\ff after\00")
  (func (export "flb_configure") (result i32) (i32.const 16))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local.get 4)))
