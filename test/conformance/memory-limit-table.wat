;; Tables stay within memory_limit.
;; options: {"memory_limit": "4M"}
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (memory (export "memory") 17)
  (table $t 1 funcref)
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (if (i32.eq (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1)) (then (unreachable)))
    (if (i32.ne (table.grow $t (ref.null func) (i32.const 4000000)) (i32.const -1)) (then (unreachable)))
    (local.get $record)))
