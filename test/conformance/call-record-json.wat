;; The record is a JSON object. A NUL follows, which the length does not count, and there is none before.
;; chunk: [{"body": {"a": "one\u0000two"}}, {"body": {}}]
;; out: "unchanged"
(module
  (memory (export "memory") 17)
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32) (local $n i32)
    (loop $next
      (if (i32.load8_u (i32.add (local.get $record) (local.get $n)))
        (then
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br $next))))
    (if (i32.ne (local.get $n) (local.get $record_len)) (then (unreachable)))
    (if (i32.ne (i32.load8_u (local.get $record)) (i32.const 123)) (then (unreachable))) ;; {
    (if (i32.ne (i32.load8_u (i32.sub (i32.add (local.get $record) (local.get $n)) (i32.const 1))) (i32.const 125)) ;; }
      (then (unreachable)))
    (local.get $record)))
