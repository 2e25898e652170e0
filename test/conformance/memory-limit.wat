;; Memory stays within memory_limit: what would make it more is refused inside the module.
;; options: {"memory_limit": "4M"}
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (memory (export "memory") 17)
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then (unreachable)))
    (if (i32.ne (memory.grow (i32.const 64)) (i32.const -1)) (then (unreachable)))
    (local.get $record)))
