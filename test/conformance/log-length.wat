;; Of a text 16 KiB are taken.
;; log: [["info", "[inside]"]]
;; not_log: ["[beyond]"]
;; chunk: [{"body": {"a": 1}}]
;; out: "unchanged"
(module
  (import "flb_v1" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 17)
  (data (i32.const 17399) "\n[inside]\n[beyond]") ;; 1024 + 16384 = 17408
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (memory.fill (i32.const 1024) (i32.const 120) (i32.const 16375))
    (call $log (i32.const 3) (i32.const 1024) (i32.const 20000))
    (local.get 4)))
