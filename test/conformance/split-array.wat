;; With split on, a reply may be an array of objects. Each becomes an event with the time and metadata of the
;; record.
;; options: {"split": "on"}
;; chunk: [{"time": [5, 6], "metadata": {"m": 1}, "body": {"a": 1}}, {"body": {"b": 1}}]
;; out: [{"time": [5, 6], "metadata": {"m": 1}, "body": {"n": 1}}, {"time": [5, 6], "metadata": {"m": 1}, "body": {"n": 2}}, {"time": [5, 6], "metadata": {"m": 1}, "body": {"n": 3}},
;;   {"body": {"n": 1}}, {"body": {"n": 2}}, {"body": {"n": 3}}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "[{\"n\":1},{\"n\":2}, {\"n\":3}]\00")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 16)))
