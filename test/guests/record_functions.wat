;; Sets of each record: its time, one second later and 5 ns; its metadata, {"was":...}; the body of
;; the marker of its group, if it is in one, {"was":...}. After it comes {"copy":true}.
;; Promise: what a module sets by host functions is in the chunk, and nothing else is changed.
(module
  (import "flb_v1" "time_get" (func $time_get (result i64)))
  (import "flb_v1" "time_set" (func $time_set (param i64 i32) (result i32)))
  (import "flb_v1" "metadata_get" (func $metadata_get (param i32 i32) (result i32)))
  (import "flb_v1" "metadata_set" (func $metadata_set (param i32 i32) (result i32)))
  (import "flb_v1" "group_get" (func $group_get (param i32 i32) (result i32)))
  (import "flb_v1" "group_set" (func $group_set (param i32 i32) (result i32)))
  (import "flb_v1" "emit" (func $emit (param i32 i32 i32 i32 i64 i32) (result i32)))
  (memory (export "memory") 17)
  (data (i32.const 1024) "{\"copy\":true}")
  (data (i32.const 65536) "{\"was\":")
  (func $close (param $n i32) (result i32) ;; what has been read to 65543; returns how long all is
    (i32.store8 (i32.add (i32.const 65543) (local.get $n)) (i32.const 0x7d))
    (i32.add (local.get $n) (i32.const 8)))
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (local $n i32)
    (if (call $time_set
          (i64.add (i64.div_u (call $time_get) (i64.const 1000000000)) (i64.const 1)) (i32.const 5))
      (then unreachable))
    ;; It is refused where events have no metadata: up to Fluent Bit 2.0.
    (drop (call $metadata_set (i32.const 65536)
      (call $close (call $metadata_get (i32.const 65543) (i32.const 65536)))))
    (local.set $n (call $group_get (i32.const 65543) (i32.const 65536)))
    (if (i32.ge_s (local.get $n) (i32.const 0))
      (then (if (call $group_set (i32.const 65536) (call $close (local.get $n))) (then unreachable))))
    (if (call $emit (i32.const 1024) (i32.const 13) (i32.const 0) (i32.const 0) (i64.const -1) (i32.const 0))
      (then unreachable))
    (local.get $record)))
