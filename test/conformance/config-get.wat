;; config_get returns the length of a key's value, and writes the value to the buffer: those bytes and no
;; more.
;; options: {"config.word": "a, \"b\"; c=#ä"}
;; chunk: [{"body": {"a": 1}}]
;; out: [{"body": {"v": "a, \"b\"; c=#ä"}}]
(module
  (import "flb_v1" "config_get" (func $get (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "word")
  (data (i32.const 65536) "{\"v\":\"")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local $n i32)
    (memory.fill (i32.const 32) (i32.const 46) (i32.const 64))
    (local.set $n (call $get (i32.const 16) (i32.const 4) (i32.const 32) (i32.const 64)))
    (if (i32.ne (local.get $n) (i32.const 13)) (then (unreachable)))
    (if (i64.ne (i64.load (i32.const 45)) (i64.const 0x2e2e2e2e2e2e2e2e)) (then (unreachable)))
    (call $append (i32.const 65542) (local.get $n))
    (i32.const 65536))
  ;; Copies n bytes from 32, and ends the object.
  (func $append (param $to i32) (param $n i32)
    (local $from i32) (local $c i32)
    (local.set $from (i32.const 32))
    (loop $next
      (local.set $c (i32.load8_u (local.get $from)))
      (if (i32.eq (local.get $c) (i32.const 34))
        (then
          (i32.store8 (local.get $to) (i32.const 92))
          (local.set $to (i32.add (local.get $to) (i32.const 1)))))
      (i32.store8 (local.get $to) (local.get $c))
      (local.set $to (i32.add (local.get $to) (i32.const 1)))
      (local.set $from (i32.add (local.get $from) (i32.const 1)))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $next (local.get $n)))
    (i32.store (local.get $to) (i32.const 0x7d22))))
