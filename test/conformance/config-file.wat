;; Members of the object in config_file are configuration: text as it is, other values as JSON without
;; blanks, and null is not set.
;; options: {"config_file": "$DIR/config.json"}
;; files: {"config.json": "{ \"text\": \"a \\\"b\\\"\", \"list\": [ 1, { \"x\" : null } ], \"yes\": true, \"num\": -1.50, \"null\": null }"}
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "config_get" (func $get (param i32 i32 i32 i32) (result i32)))
  (import "flb_v1" "config_count" (func $count (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "textlistyesnumnull")
  (data (i32.const 64) "a \"b\"[1,{\"x\":null}]true-1.50")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (if (i32.ne (call $count) (i32.const 4)) (then (unreachable)))
    (call $check (i32.const 16) (i32.const 4) (i32.const 64) (i32.const 5))
    (call $check (i32.const 20) (i32.const 4) (i32.const 69) (i32.const 14))
    (call $check (i32.const 24) (i32.const 3) (i32.const 83) (i32.const 4))
    (call $check (i32.const 27) (i32.const 3) (i32.const 87) (i32.const 5))
    (if (i32.ne (i32.const -1) (call $get (i32.const 30) (i32.const 4) (i32.const 128) (i32.const 32))) (then (unreachable)))
    (local.get 4))
  (func $check (param $key i32) (param $key_len i32) (param $value i32) (param $n i32)
    (if (i32.ne (local.get $n) (call $get (local.get $key) (local.get $key_len) (i32.const 128) (i32.const 32))) (then (unreachable)))
    (loop $next
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (if (i32.ne (i32.load8_u (i32.add (local.get $value) (local.get $n))) (i32.load8_u offset=128 (local.get $n)))
        (then (unreachable)))
      (br_if $next (local.get $n)))))
