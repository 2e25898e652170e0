;; What follows the object of a reply is ignored, unless it is nothing but whole objects.
;; chunk: [{"body": {"a": 1}}, {"body": {"a": 2}}]
;; out: [{"body": {"n": 1}}, {"body": {"n": 1}}]
(module
  (memory (export "memory") 17)
  (data (i32.const 16) "{\"n\":1}{\"n\":2}x\00")
  (data (i32.const 64) "{\"n\":1} rest\00")
  (global $reply (mut i32) (i32.const -32))
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (global.set $reply (i32.add (global.get $reply) (i32.const 48)))
    (global.get $reply)))
