;; config_get writes nothing if there is no room for all of the value, and returns its length all the
;; same.
;; options: {"config.word": "seven"}
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "config_get" (func $get (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "word")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (if (i32.ne (i32.const 5) (call $get (i32.const 16) (i32.const 4) (i32.const 0) (i32.const 0))) (then (unreachable)))
    (if (i32.ne (i32.const 5) (call $get (i32.const 16) (i32.const 4) (i32.const 32) (i32.const 4))) (then (unreachable)))
    (if (i64.ne (i64.load (i32.const 32)) (i64.const 0)) (then (unreachable)))
    (if (i32.ne (i32.const 5) (call $get (i32.const 16) (i32.const 4) (i32.const 32) (i32.const 5))) (then (unreachable)))
    (if (i64.ne (i64.load (i32.const 32)) (i64.const 0x6e65766573)) (then (unreachable)))
    (local.get 4)))
