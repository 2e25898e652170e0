;; config_count is the number of keys, and config_key the length of the i-th, which is written: in lower
;; case, by the order of bytes, and -1 from config_count on. It writes nothing if there is no room.
;; options: {"config.b": "1", "config.A_2": "2", "config.a": "3", "config_file": "$DIR/config.json"}
;; files: {"config.json": "{\"A10\":4,\"ä\":5,\"b\":6}"}
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "config_count" (func $count (result i32)))
  (import "flb_v1" "config_key" (func $key (param i32 i32 i32) (result i32)))
  (memory (export "memory") 17)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (if (i32.ne (call $count) (i32.const 5)) (then (unreachable)))
    (call $check (i32.const 0) (i32.const 1) (i64.const 0x61)) ;; a
    (call $check (i32.const 1) (i32.const 3) (i64.const 0x303161)) ;; a10
    (call $check (i32.const 2) (i32.const 3) (i64.const 0x325f61)) ;; a_2
    (call $check (i32.const 3) (i32.const 1) (i64.const 0x62)) ;; b
    (call $check (i32.const 4) (i32.const 2) (i64.const 0xa4c3)) ;; ä
    (if (i32.ne (i32.const -1) (call $key (i32.const 5) (i32.const 32) (i32.const 8))) (then (unreachable)))
    (if (i32.ne (i32.const -1) (call $key (i32.const -1) (i32.const 32) (i32.const 8))) (then (unreachable)))
    (i64.store (i32.const 32) (i64.const 0))
    (if (i32.ne (i32.const 3) (call $key (i32.const 1) (i32.const 32) (i32.const 2))) (then (unreachable)))
    (if (i64.ne (i64.load (i32.const 32)) (i64.const 0)) (then (unreachable)))
    (local.get 4))
  (func $check (param $i i32) (param $n i32) (param $key i64)
    (i64.store (i32.const 32) (i64.const 0))
    (if (i32.ne (local.get $n) (call $key (local.get $i) (i32.const 32) (i32.const 8))) (then (unreachable)))
    (if (i64.ne (i64.load (i32.const 32)) (local.get $key)) (then (unreachable)))))
