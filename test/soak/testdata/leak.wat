;; Returns the record from memory that is never freed: malloc only counts upwards,
;; the function takes 1 KiB for each record and writes all of it, and free does
;; nothing. What a C guest without any free is.
(module
  (memory (export "memory") 2)
  (global $heap (mut i32) (i32.const 65536))
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32)
    (local $leaked i32)
    (local.set $leaked (call $malloc (i32.const 1024)))
    (if (i32.eqz (local.get $leaked))
      (then (return (i32.const 0))))
    (memory.fill (local.get $leaked) (i32.const 0x78) (i32.const 1024))
    (local.get $record))
  (func $malloc (export "malloc") (param $size i32) (result i32)
    (local $block i32) (local $missing i32)
    (local.set $block (global.get $heap))
    (global.set $heap
      (i32.and (i32.add (i32.add (local.get $block) (local.get $size)) (i32.const 7)) (i32.const -8)))
    (local.set $missing
      (i32.sub
        (i32.add (i32.shr_u (i32.sub (global.get $heap) (i32.const 1)) (i32.const 16)) (i32.const 1))
        (memory.size)))
    (if (i32.gt_s (local.get $missing) (i32.const 0))
      (then
        (if (i32.eq (memory.grow (local.get $missing)) (i32.const -1))
          (then (return (i32.const 0))))))
    (local.get $block))
  (func (export "free") (param i32)))
