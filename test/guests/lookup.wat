;; Returns {"value":...}: what its table "t" has for the key "k", or null. Without it, it refuses to
;; start.
;; Promise: a table is found as its file is, or was until a moment ago, and never in between.
(module
  (import "flb_v1" "table_open" (func $open (param i32 i32) (result i32)))
  (import "flb_v1" "table_get"
    (func $get (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 17)
  (global $t (mut i32) (i32.const -1))
  (data (i32.const 16) "tk")
  (data (i32.const 64) "table.t: it must be set\00")
  (data (i32.const 65536) "{\"value\":")
  (func (export "flb_configure") (result i32)
    (global.set $t (call $open (i32.const 16) (i32.const 1)))
    (select (i32.const 64) (i32.const 0) (i32.eq (i32.const -1) (global.get $t))))
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (local $n i32)
    (local.set $n ;; as JSON
      (call $get (global.get $t) (i32.const 17) (i32.const 1) (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 65545) (i32.const 65536)))
    (if (i32.lt_s (local.get $n) (i32.const 0))
      (then
        (i32.store (i32.const 65545) (i32.const 0x6c6c756e))
        (local.set $n (i32.const 4))))
    (i32.store16 (i32.add (i32.const 65545) (local.get $n)) (i32.const 0x7d)) ;; } and a NUL
    (i32.const 65536)))
