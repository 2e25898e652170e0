;; Returns the record with the key "k" of value "v" at its end. The record must
;; have a key; one that does not fit into the 1 MiB for the reply is returned as it
;; is.
(module
  (memory (export "memory") 33)
  (data (i32.const 1024) ",\"k\":\"v\"}\00")
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (local $kept i32)
    (local.set $kept (i32.sub (local.get $record_len) (i32.const 1))) ;; not the }
    (if (i32.gt_u (local.get $kept) (i32.const 0xfff00))
      (then (return (local.get $record))))
    (memory.copy (i32.const 65536) (local.get $record) (local.get $kept))
    (memory.copy (i32.add (i32.const 65536) (local.get $kept)) (i32.const 1024) (i32.const 10))
    (i32.const 65536))

  ;; Memory behind the reply is handed out upwards. All of it is free again when
  ;; nothing is in use any more, and the last block as soon as it is freed.
  (global $heap (mut i32) (i32.const 1114112))
  (global $last (mut i32) (i32.const 0))
  (global $used (mut i32) (i32.const 0))
  (func (export "malloc") (param $size i32) (result i32)
    (local $end i32) (local $missing i32)
    (local.set $end
      (i32.and (i32.add (i32.add (global.get $heap) (local.get $size)) (i32.const 7)) (i32.const -8)))
    (if (i32.or
          (i32.lt_s (local.get $size) (i32.const 0))
          (i32.lt_u (local.get $end) (global.get $heap)))
      (then (return (i32.const 0))))
    (local.set $missing
      (i32.sub
        (i32.add (i32.shr_u (i32.sub (local.get $end) (i32.const 1)) (i32.const 16)) (i32.const 1))
        (memory.size)))
    (if (i32.gt_s (local.get $missing) (i32.const 0))
      (then
        (if (i32.eq (memory.grow (local.get $missing)) (i32.const -1))
          (then (return (i32.const 0))))))
    (global.set $last (global.get $heap))
    (global.set $heap (local.get $end))
    (global.set $used (i32.add (global.get $used) (i32.const 1)))
    (global.get $last))
  (func (export "free") (param $block i32)
    (if (i32.eqz (local.get $block))
      (then (return)))
    (global.set $used (i32.sub (global.get $used) (i32.const 1)))
    (if (i32.eq (local.get $block) (global.get $last))
      (then (global.set $heap (local.get $block))))
    (if (i32.eqz (global.get $used))
      (then (global.set $heap (i32.const 1114112))))))
