;; A call that takes longer than timeout is a failure of the record, and of no other.
;; options: {"timeout": "200ms"}
;; chunk: [{"body": {"a": 1}}, {"body": {"a": 2}}, {"body": {"a": 3}}]
;; out: [{"event": 0}, {"failed": 1}, {"event": 2}]
(module
  (memory (export "memory") 17)
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    ;; {"a":2}
    (if (i32.eq (i32.load8_u (i32.add (local.get $record) (i32.const 5))) (i32.const 50))
      (then (loop $for_ever (br $for_ever))))
    (local.get $record)))
