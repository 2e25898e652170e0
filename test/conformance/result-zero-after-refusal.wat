;; The result 0 drops the record if memory was refused in the call before, and not in this one.
;; options: {"memory_limit": "2M"}
;; chunk: [{"body": {"a": 1}}, {"body": {"a": 2}}]
;; out: [{"event": 0}]
(module
  (memory (export "memory") 17)
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    ;; {"a":1}
    (if (i32.eq (i32.load8_u (i32.add (local.get $record) (i32.const 5))) (i32.const 49))
      (then
        (drop (memory.grow (i32.const 1000)))
        (return (local.get $record))))
    (i32.const 0)))
