;; An export flb_tick of another type keeps the module from starting.
;; refused: ["flb_tick", "func (i32) -> i32"]
(module
  (memory (export "memory") 1)
  (func (export "flb_tick") (param i32))
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32) (i32.const 0)))
