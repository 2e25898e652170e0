;; All memories of a module together stay within memory_limit.
;; options: {"memory_limit": "4M"}
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (memory (export "memory") 17)
  (memory $second 32)
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (if (i32.ne (memory.grow $second (i32.const 32)) (i32.const -1)) (then (unreachable)))
    (local.get $record)))
