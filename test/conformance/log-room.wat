;; 64 KiB of lines find room until the call ends. What does not is counted there.
;; log: [["info", "line 1"], ["info", "line 2"], ["info", "line 3"], ["warn", "left out"]]
;; not_log: ["line 5", "line 6"]
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 17)
  (data (i32.const 1024) "line 0")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local $i i32)
    (memory.fill (i32.const 1030) (i32.const 46) (i32.const 16378))
    (loop $next
      (i32.store8 (i32.const 1029) (i32.add (i32.load8_u (i32.const 1029)) (i32.const 1)))
      (call $log (i32.const 3) (i32.const 1024) (i32.const 16384))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 6))))
    (local.get 4)))
