;; What is kept comes out byte for byte.
;; chunk: [{"$hex": "92 92 d700 fffffffa 3b9ac9ff de0001a16dccff df00000001d90161dc0001d1002a"},
;;   {"$hex": "92 d700 6553f100 00000007 81a16101"}, {"$hex": "dc0002 ce6553f100 81a16101"}]
;; out: "unchanged"
(module
  (memory (export "memory") 17)
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32)
    (i32.const 0)))
