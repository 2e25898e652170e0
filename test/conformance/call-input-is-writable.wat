;; Tag and record are the module's to write to, and the host reads neither again: what fails keeps
;; its bytes, and the next record has its own tag.
;; chunk: [{"body": {"a": "text"}}, {"body": {"b": "text"}}]
;; out: [{"failed": 0}, {"failed": 1}]
(module
  (memory (export "memory") 17)
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (if (i32.ne (i32.load8_u (local.get $tag)) (i32.const 99)) (then (return (i32.const 0)))) ;; c
    (memory.fill (local.get $tag) (i32.const 120) (i32.add (local.get $tag_len) (i32.const 1)))
    (memory.fill (local.get $record) (i32.const 120) (i32.add (local.get $record_len) (i32.const 1)))
    (local.get $record)))
