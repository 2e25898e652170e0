;; The reply is a JSON object up to a NUL. It takes the place of the record's body, and the event keeps
;; its time and metadata.
;; chunk: [{"time": [5, 6], "metadata": {"m": [1.5]}, "body": {"a": 1}}]
;; out: [{"time": [5, 6], "metadata": {"m": [1.5]}, "body": {"b": [1, -2, 2.0, "ä\u0000", true, null, {}], "a": 18446744073709551615}}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) " {\"b\":[1, -2, 2.0, \"\\u00e4\\u0000\", true, null, {}],\"a\":18446744073709551615}\n\00{\"c\":1}")
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 16)))
