;; malloc returns 0: there is no memory left. filter returns the record.
;; Promise: that is an error, not the address 0.
(module
  (memory (export "memory") 17)
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (local.get $record))

  (func (export "malloc") (param i32) (result i32)
    (i32.const 0))
  (func (export "free") (param i32)))
