;; A module that imports a function of tables does not start unless a table is set: the message names
;; the function and the option.
;; refused: ["table_open", "table."]
(module
  (import "flb_v1" "table_open" (func $table_open (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32) (i32.const 0)))
