;; Start functions come before init_function, and that before flb_configure, each once, all of them
;; before the first record.
;; chunk: [{"body": {"a": 1}}, {"body": {"a": 2}}]
;; out: "unchanged"
(module
  (memory (export "memory") 17)
  (global $steps (mut i32) (i32.const 0))
  (func $step (param i32)
    (global.set $steps (i32.add (global.get $steps) (i32.const 1)))
    (if (i32.ne (global.get $steps) (local.get 0)) (then (unreachable))))
  (func $start (call $step (i32.const 1)))
  (start $start)
  (func (export "_initialize") (call $step (i32.const 2)))
  (func (export "flb_configure") (result i32) (call $step (i32.const 3)) (i32.const 0))
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (if (i32.ne (global.get $steps) (i32.const 3)) (then (unreachable)))
    (local.get $record)))
