;; Returns {"config":"..."}: the value of its key "greeting". Without it, it refuses to start.
;; Promise: configuration reaches a module as the user wrote it, and one that it refuses stops the
;; start.
(module
  (import "flb_v1" "config_get" (func $get (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "greeting")
  (data (i32.const 64) "greeting: it must be set\00")
  (data (i32.const 65536) "{\"config\":\"")
  (func (export "flb_configure") (result i32)
    (select (i32.const 64) (i32.const 0)
      (i32.eq (i32.const -1)
        (call $get (i32.const 16) (i32.const 8) (i32.const 0) (i32.const 0)))))
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (i32.store ;; "} and a NUL
      (i32.add (i32.const 65547)
        (call $get (i32.const 16) (i32.const 8) (i32.const 65547) (i32.const 4096)))
      (i32.const 0x7d22))
    (i32.const 65536)))
