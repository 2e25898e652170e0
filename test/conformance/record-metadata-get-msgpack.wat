;; With event_format msgpack, metadata_get gives the bytes that the chunk has.
;; options: {"event_format": "msgpack"}
;; chunk: [{"$hex": "92 92 d700 00000005 00000006 de0001a16dccff 81a16101"}]
;; out: "unchanged"
(module
  (import "flb_v1" "metadata_get" (func $metadata_get (param i32 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "\de\00\01\a1m\cc\ff")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (if (i32.ne (call $metadata_get (i32.const 64) (i32.const 64)) (i32.const 7)) (then (unreachable)))
    (call $same (i32.const 16) (i32.const 64) (i32.const 7))
    (local.get $record))
  ;; Traps unless the bytes at two addresses are the same.
  (func $same (param $a i32) (param $b i32) (param $n i32)
    (loop $next
      (if (local.get $n)
        (then
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (if (i32.ne (i32.load8_u (i32.add (local.get $a) (local.get $n))) (i32.load8_u (i32.add (local.get $b) (local.get $n))))
            (then (unreachable)))
          (br $next))))))
