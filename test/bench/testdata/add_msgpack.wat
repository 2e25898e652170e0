;; Returns the record with the key "k" of value "v" at its end, in msgpack. What is
;; no map of up to 65,534 keys, or does not fit into the 1 MiB for the reply, is
;; returned as it is.
(module
  (memory (export "memory") 17)
  (data (i32.const 1024) "\a1k\a1v")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (local $first i32) (local $keys i32) (local $head i32) (local $rest i32)
    (local.set $first (i32.load8_u (local.get $record)))
    (block $done
      (if (i32.eq (i32.and (local.get $first) (i32.const 0xf0)) (i32.const 0x80))
        (then
          (local.set $keys (i32.and (local.get $first) (i32.const 0x0f)))
          (local.set $head (i32.const 1))
          (br $done)))
      (if (i32.eq (local.get $first) (i32.const 0xde))
        (then
          (local.set $keys
            (i32.or
              (i32.shl (i32.load8_u offset=1 (local.get $record)) (i32.const 8))
              (i32.load8_u offset=2 (local.get $record))))
          (local.set $head (i32.const 3))
          (br $done)))
      (if (i32.and
            (i32.eq (local.get $first) (i32.const 0xdf))
            (i32.eqz (i32.load16_u offset=1 (local.get $record))))
        (then
          (local.set $keys
            (i32.or
              (i32.shl (i32.load8_u offset=3 (local.get $record)) (i32.const 8))
              (i32.load8_u offset=4 (local.get $record))))
          (local.set $head (i32.const 5))
          (br $done)))
      (return (local.get $record)))
    (local.set $rest (i32.sub (local.get $record_len) (local.get $head)))
    (local.set $keys (i32.add (local.get $keys) (i32.const 1)))
    (if (i32.or
          (i32.gt_u (local.get $keys) (i32.const 0xffff))
          (i32.gt_u (local.get $rest) (i32.const 0xfff00)))
      (then (return (local.get $record))))
    ;; A map with a length of 16 bits takes all of them.
    (i32.store8 (i32.const 65536) (i32.const 0xde))
    (i32.store8 (i32.const 65537) (i32.shr_u (local.get $keys) (i32.const 8)))
    (i32.store8 (i32.const 65538) (local.get $keys))
    (memory.copy (i32.const 65539)
      (i32.add (local.get $record) (local.get $head)) (local.get $rest))
    (i32.store (i32.add (i32.const 65539) (local.get $rest)) (i32.load (i32.const 1024)))
    (i32.const 65536)))
