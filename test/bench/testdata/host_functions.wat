;; Each exported function calls the host function that it is named after twenty times, and returns the
;; record. Keys and values have 16 bytes, labels 5 each, the histogram 8 buckets.
(module
  (type $filter (func (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "flb_v1" "log_enabled" (func $enabled (param i32) (result i32)))
  (import "flb_v1" "config_get" (func $config (param i32 i32 i32 i32) (result i32)))
  (import "flb_v1" "store_get" (func $get (param i32 i32 i32 i32) (result i32)))
  (import "flb_v1" "store_set" (func $set (param i32 i32 i32 i32 i64) (result i32)))
  (import "flb_v1" "store_delete" (func $delete (param i32 i32) (result i32)))
  (import "flb_v1" "store_add" (func $add (param i32 i32 i64 i64 i32) (result i32)))
  (import "flb_v1" "store_cas" (func $cas (param i32 i32 i32 i32 i32 i32 i64) (result i32)))
  (import "flb_v1" "metric_define"
    (func $define (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "flb_v1" "metric_add" (func $madd (param i32 f64 i32 i32) (result i32)))
  (import "flb_v1" "metric_set" (func $mset (param i32 f64 i32 i32) (result i32)))
  (import "flb_v1" "metric_observe" (func $observe (param i32 f64 i32 i32) (result i32)))
  (memory (export "memory") 4)
  (data (i32.const 1024) "plain" "labelled" "sizes" "a,b") ;; at 1024, 1029, 1037, 1042
  (data (i32.const 1048) "\05\00\00\00email\05\00\00\00apple")
  (data (i32.const 1280) "\00\00\00\00\00\00\f0\3f\00\00\00\00\00\00\00\40\00\00\00\00\00\00\08\40\00\00\00\00\00\00\10\40")
  (data (i32.const 1312) "\00\00\00\00\00\00\14\40\00\00\00\00\00\00\18\40\00\00\00\00\00\00\1c\40\00\00\00\00\00\00\20\40")
  (data (i32.const 2048) "0123456789abcdef")
  (func (export "malloc") (param i32) (result i32) (i32.const 131072))
  (func (export "free") (param i32))
  (func $metric (param $kind i32) (param $name i32) (param $len i32) (param $labels i32) (param $buckets i32)
    (if (i32.lt_s (call $define
        (local.get $kind) (local.get $name) (local.get $len) (i32.const 0) (i32.const 0)
        (i32.const 1042) (local.get $labels) (i32.const 1280) (local.get $buckets)) (i32.const 0))
      (then unreachable)))
  (func (export "flb_configure") (result i32)
    (call $metric (i32.const 1) (i32.const 1024) (i32.const 5) (i32.const 0) (i32.const 0))
    (call $metric (i32.const 1) (i32.const 1029) (i32.const 8) (i32.const 3) (i32.const 0))
    (call $metric (i32.const 3) (i32.const 1037) (i32.const 5) (i32.const 0) (i32.const 8))
    (call $metric (i32.const 2) (i32.const 1024) (i32.const 4) (i32.const 0) (i32.const 0))
    (i32.ne (i32.const 0)
      (call $set (i32.const 2064) (i32.const 16) (i32.const 2048) (i32.const 16) (i64.const 0))))
  (func (export "nothing") (type $filter) (local $i i32)
    (loop $next
      (br_if $next (i32.lt_u
        (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 20))))
    (local.get 4))
  (func (export "log_enabled") (type $filter) (local $i i32)
    (loop $next
      (drop (call $enabled (i32.const 5)))
      (br_if $next (i32.lt_u
        (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 20))))
    (local.get 4))
  (func (export "config_get") (type $filter) (local $i i32)
    (loop $next
      (drop (call $config (i32.const 2048) (i32.const 1) (i32.const 4096) (i32.const 16)))
      (br_if $next (i32.lt_u
        (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 20))))
    (local.get 4))
  (func (export "store_get") (type $filter) (local $i i32)
    (loop $next
      (drop (call $get (i32.const 2064) (i32.const 16) (i32.const 4096) (i32.const 16)))
      (br_if $next (i32.lt_u
        (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 20))))
    (local.get 4))
  (func (export "store_set") (type $filter) (local $i i32)
    (loop $next
      (drop (call $set (i32.const 2064) (i32.const 16) (i32.const 2048) (i32.const 16) (i64.const 60000)))
      (br_if $next (i32.lt_u
        (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 20))))
    (local.get 4))
  (func (export "store_set_new_and_delete") (type $filter) (local $i i32)
    (loop $next
      (drop (call $set (i32.const 2080) (i32.const 16) (i32.const 2048) (i32.const 16) (i64.const 60000)))
      (drop (call $delete (i32.const 2080) (i32.const 16)))
      (br_if $next (i32.lt_u
        (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 20))))
    (local.get 4))
  (func (export "store_add") (type $filter) (local $i i32)
    (loop $next
      (drop (call $add (i32.const 2048) (i32.const 16) (i64.const 1) (i64.const 60000) (i32.const 4096)))
      (br_if $next (i32.lt_u
        (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 20))))
    (local.get 4))
  (func (export "store_cas") (type $filter) (local $i i32)
    (loop $next
      (drop (call $cas (i32.const 2064) (i32.const 16) (i32.const 2048) (i32.const 16) (i32.const 2048) (i32.const 16) (i64.const 0)))
      (br_if $next (i32.lt_u
        (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 20))))
    (local.get 4))
  (func (export "metric_add") (type $filter) (local $i i32)
    (loop $next
      (drop (call $madd (i32.const 0) (f64.const 1) (i32.const 0) (i32.const 0)))
      (br_if $next (i32.lt_u
        (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 20))))
    (local.get 4))
  (func (export "metric_add_fraction") (type $filter) (local $i i32)
    (loop $next
      (drop (call $madd (i32.const 0) (f64.const 0.5) (i32.const 0) (i32.const 0)))
      (br_if $next (i32.lt_u
        (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 20))))
    (local.get 4))
  (func (export "metric_add_two_labels") (type $filter) (local $i i32)
    (loop $next
      (drop (call $madd (i32.const 1) (f64.const 1) (i32.const 1048) (i32.const 18)))
      (br_if $next (i32.lt_u
        (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 20))))
    (local.get 4))
  (func (export "metric_set") (type $filter) (local $i i32)
    (loop $next
      (drop (call $mset (i32.const 3) (f64.const 1) (i32.const 0) (i32.const 0)))
      (br_if $next (i32.lt_u
        (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 20))))
    (local.get 4))
  (func (export "metric_observe") (type $filter) (local $i i32)
    (loop $next
      (drop (call $observe (i32.const 2) (f64.const 5) (i32.const 0) (i32.const 0)))
      (br_if $next (i32.lt_u
        (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 20))))
    (local.get 4)))
