;; An instance that takes another's place is configured again, before its first record, with the same
;; keys and values.
;; options: {"config.word": "seven"}
;; chunk: [{"body": {"a": 1}}, {"body": {"a": 2}}, {"body": {"a": 3}}]
;; out: [{"event": 0}, {"failed": 1}, {"event": 2}]
(module
  (import "flb_v1" "config_get" (func $get (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "word")
  (global $configured (mut i32) (i32.const 0))
  (func (export "flb_configure") (result i32)
    (if (i32.ne (i32.const 5) (call $get (i32.const 16) (i32.const 4) (i32.const 32) (i32.const 5)))
      (then (unreachable)))
    (if (i64.ne (i64.load (i32.const 32)) (i64.const 0x6e65766573)) (then (unreachable)))
    (global.set $configured (i32.add (global.get $configured) (i32.const 1)))
    (i32.const 0))
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (if (i32.ne (global.get $configured) (i32.const 1)) (then (unreachable)))
    ;; {"a":2}
    (if (i32.eq (i32.load8_u (i32.add (local.get $record) (i32.const 5))) (i32.const 50))
      (then (unreachable)))
    (local.get $record)))
