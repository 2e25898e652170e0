;; malloc returns an address beyond the memory. filter returns the record.
;; Promise: the host checks what it is given before it writes there.
(module
  (memory (export "memory") 17)
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (local.get $record))

  (func (export "malloc") (param i32) (result i32)
    (i32.const 0xffff0000))
  (func (export "free") (param i32)))
