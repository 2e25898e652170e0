;; What init_function names is called once, and _initialize is not.
;; options: {"init_function": "set_up"}
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (memory (export "memory") 17)
  (global $calls (mut i32) (i32.const 0))
  (func (export "_initialize") (unreachable))
  (func (export "set_up") (global.set $calls (i32.add (global.get $calls) (i32.const 1))))
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (if (i32.ne (global.get $calls) (i32.const 1)) (then (unreachable)))
    (local.get $record)))
