;; A batch guest that does what its tag says: the tag is copied to 65536, and is the reply, with
;; addresses that fit there; a tag of less than 16 bytes keeps all. Input stands at 1048576 and goes on
;; as far as memory does, which grows.
;; Promise: a reply is carried out, or refused, as docs/abi.md says, whatever it is.
(module
  (memory (export "memory") 17)
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param $n i32) (result i32)
    (local $missing i32)
    (local.set $missing (i32.sub
      (i32.shr_u (i32.add (local.get $n) (i32.const 1114111)) (i32.const 16))
      (memory.size)))
    (if (i32.gt_s (local.get $missing) (i32.const 0))
      (then (if (i32.eq (memory.grow (local.get $missing)) (i32.const -1)) (then (return (i32.const 0))))))
    (i32.const 1048576))
  (func (export "filter") (param $in i32) (param $len i32) (result i32)
    (if (i32.lt_u (i32.load offset=12 (local.get $in)) (i32.const 16))
      (then (return (i32.const 0))))
    (memory.copy (i32.const 65536)
      (i32.add (local.get $in) (i32.load offset=8 (local.get $in)))
      (i32.load offset=12 (local.get $in)))
    (i32.const 65536)))
