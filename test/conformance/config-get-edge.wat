;; Key and buffer may end where memory ends.
;; options: {"config.word": "seven"}
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "config_get" (func $get (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 17)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local $end i32)
    (drop (memory.grow (i32.const 1)))
    (local.set $end (i32.shl (memory.size) (i32.const 16)))
    (i32.store (i32.sub (local.get $end) (i32.const 4)) (i32.const 0x64726f77))
    (if (i32.ne (i32.const 5)
          (call $get (i32.sub (local.get $end) (i32.const 4)) (i32.const 4)
            (i32.sub (local.get $end) (i32.const 5)) (i32.const 5)))
      (then (unreachable)))
    (if (i32.ne (i32.load (i32.sub (local.get $end) (i32.const 4))) (i32.const 0x6e657665)) (then (unreachable)))
    (local.get 4)))
