;; 100 lines in 10 seconds reach the log. What does not is counted there.
;; log: [["info", "line 100."], ["info", "line 199."], ["warn", "50", "left out"]]
;; not_log: ["line 200.", "line 249."]
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 17)
  (data (i32.const 16) "line xxx.")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local $i i32)
    (local.set $i (i32.const 100))
    (loop $next
      (i32.store8 (i32.const 21) (i32.add (i32.const 48) (i32.div_u (local.get $i) (i32.const 100))))
      (i32.store8 (i32.const 22) (i32.add (i32.const 48) (i32.rem_u (i32.div_u (local.get $i) (i32.const 10)) (i32.const 10))))
      (i32.store8 (i32.const 23) (i32.add (i32.const 48) (i32.rem_u (local.get $i) (i32.const 10))))
      (call $log (i32.const 3) (i32.const 16) (i32.const 9))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 250))))
    (local.get 4)))
