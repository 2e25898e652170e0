;; Keeps all events of a batch, and counts those whose "level" is "debug".
(module
  (memory (export "memory") 1)
  ;; For the bytes 0xc0 to 0xdf, which begin a value: how long it is but for its
  ;; payload, and by how many bytes the length of the payload is told.
  (data (i32.const 1040)
    "\01\01\01\01\02\03\05\03\04\06\05\09\02\03\05\09\02\03\05\09\03\04\06\0a\12\02\03\05\03\05\03\05")
  (data (i32.const 1072)
    "\00\00\00\00\01\02\04\01\02\04\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\01\02\04\02\04\02\04")
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param $n i32) (result i32)
    (i32.shl
      (memory.grow (i32.shr_u (i32.add (local.get $n) (i32.const 65535)) (i32.const 16)))
      (i32.const 16)))

  (func (export "filter") (param $in i32) (param $len i32) (result i32)
    (local $event i32) (local $last i32) (local $size i32) (local $body i32)
    (local.set $event (i32.add (local.get $in) (i32.load offset=16 (local.get $in))))
    (local.set $size (i32.load offset=24 (local.get $in)))
    (local.set $last
      (i32.add (local.get $event)
        (i32.mul (i32.load offset=20 (local.get $in)) (local.get $size))))
    (loop $next
      (local.set $body (i32.add (local.get $in) (i32.load offset=24 (local.get $event))))
      (call $look (local.get $body)
        (i32.add (local.get $body) (i32.load offset=28 (local.get $event))))
      (local.set $event (i32.add (local.get $event) (local.get $size)))
      (br_if $next (i32.lt_u (local.get $event) (local.get $last))))
    (i32.const 0))

  ;; Counts the map from $at to $end at 1104, if its "level" is "debug".
  (func $look (param $at i32) (param $end i32)
    (local $b i32)
    (local.set $b (i32.load8_u (local.get $at)))
    ;; Behind the head of the map, which has 1, 3 or 5 bytes.
    (local.set $at
      (i32.add (local.get $at)
        (i32.add (i32.const 1)
          (i32.shl
            (i32.add
              (i32.ge_u (local.get $b) (i32.const 0xde))
              (i32.eq (local.get $b) (i32.const 0xdf)))
            (i32.const 1)))))
    (block $done
      (loop $key
        (br_if $done (i32.gt_u (i32.add (local.get $at) (i32.const 12)) (local.get $end)))
        (if (i64.eq
              (i64.and (i64.load (local.get $at)) (i64.const 0xffffffffffff))
              (i64.const 0x6c6576656ca5)) ;; a5 "level"
          (then
            (i32.store (i32.const 1104)
              (i32.add (i32.load (i32.const 1104))
                (i64.eq
                  (i64.and (i64.load offset=6 (local.get $at)) (i64.const 0xffffffffffff))
                  (i64.const 0x6775626564a5)))) ;; a5 "debug"
            (br $done)))
        (local.set $b (i32.sub (i32.load8_u (local.get $at)) (i32.const 0x9f)))
        (local.set $at
          (if (result i32) (i32.lt_u (i32.sub (local.get $b) (i32.const 1)) (i32.const 0x20))
            (then (i32.add (local.get $at) (local.get $b)))
            (else (call $skip (local.get $at) (local.get $end)))))
        (local.set $b (i32.sub (i32.load8_u (local.get $at)) (i32.const 0x9f)))
        (local.set $at
          (if (result i32) (i32.lt_u (i32.sub (local.get $b) (i32.const 1)) (i32.const 0x20))
            (then (i32.add (local.get $at) (local.get $b)))
            (else (call $skip (local.get $at) (local.get $end)))))
        (br $key))))

  ;; Where the value at $at ends; $end, if it does not end before.
  (func $skip (param $at i32) (param $end i32) (result i32)
    (local $todo i32) (local $b i32) (local $width i32) (local $n i32) (local $from i32)
    (local.set $todo (i32.const 1))
    (loop $value
      (if (i32.ge_u (local.get $at) (local.get $end))
        (then (return (local.get $end))))
      (local.set $todo (i32.sub (local.get $todo) (i32.const 1)))
      (local.set $b (i32.load8_u (local.get $at)))
      (block $done
        (if (i32.or (i32.lt_u (local.get $b) (i32.const 0x80)) (i32.ge_u (local.get $b) (i32.const 0xe0)))
          (then
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br $done)))
        (if (i32.lt_u (local.get $b) (i32.const 0xa0))
          (then ;; a small map or array
            (local.set $n (i32.and (local.get $b) (i32.const 0x0f)))
            (local.set $todo
              (i32.add (local.get $todo)
                (i32.shl (local.get $n) (i32.lt_u (local.get $b) (i32.const 0x90)))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br $done)))
        (if (i32.lt_u (local.get $b) (i32.const 0xc0))
          (then ;; a short string
            (local.set $at
              (i32.add (local.get $at)
                (i32.add (i32.const 1) (i32.and (local.get $b) (i32.const 0x1f)))))
            (br $done)))
        (local.set $width (i32.load8_u offset=880 (local.get $b))) ;; 1072 - 0xc0
        (local.set $n (i32.const 0))
        (local.set $from (local.get $at))
        (loop $digit
          (if (local.get $width)
            (then
              (local.set $from (i32.add (local.get $from) (i32.const 1)))
              (local.set $n
                (i32.or (i32.shl (local.get $n) (i32.const 8)) (i32.load8_u (local.get $from))))
              (local.set $width (i32.sub (local.get $width) (i32.const 1)))
              (br $digit))))
        (local.set $at
          (i32.add (local.get $at) (i32.load8_u offset=848 (local.get $b)))) ;; 1040 - 0xc0
        (if (i32.ge_u (local.get $b) (i32.const 0xdc))
          (then ;; an array or, from 0xde on, a map
            (local.set $todo
              (i32.add (local.get $todo)
                (i32.shl (local.get $n) (i32.ge_u (local.get $b) (i32.const 0xde)))))
            (br $done)))
        (local.set $at (i32.add (local.get $at) (local.get $n))))
      (br_if $value (local.get $todo)))
    (local.get $at)))
