;; Stands in for what TinyGo before 0.34 makes of //export functions with
;; -target wasi: a command whose functions are called though _start has not been.
;; malloc is as before 0.26: the collector frees what only the host knows, so that
;; input which is kept across calls is written over. free is as from 0.26 on: it
;; traps for what malloc has not given.
(module
  (memory (export "memory") 2)

  ;; To run main is not what the built-in filter does; real modules work after it
  ;; as well, but slower.
  (func (export "_start") unreachable)

  ;; Of the scheduler: asyncify, binaryen's, by which goroutines are switched.
  (func (export "asyncify_start_unwind") (param i32) unreachable)
  (func (export "asyncify_stop_unwind") unreachable)
  (func (export "asyncify_start_rewind") (param i32) unreachable)
  (func (export "asyncify_stop_rewind") unreachable)
  (func (export "asyncify_get_state") (result i32) (i32.const 0))

  (global $count (mut i32) (i32.const 0))
  (global $bump (mut i32) (i32.const 1024)) ;; the heap is in use from 1024 to here
  ;; 128: addresses of the 8 records kept, each a length and 512 bytes.
  ;; 192: addresses of 16 buffers that malloc has given and free not taken.
  (data (i32.const 0) "{\"tag\":\"")
  (data (i32.const 16) "\",\"sec\":")
  (data (i32.const 32) ",\"nsec\":")
  (data (i32.const 48) ",\"count\":")
  (data (i32.const 64) ",\"sum\":")
  (data (i32.const 80) ",\"record\":")
  (data (i32.const 96) "\"drop\":true")

  (func $memory_end (result i32) (i32.mul (memory.size) (i32.const 65536)))

  ;; room makes size bytes free above $bump. What it collects is all that no
  ;; global of the module knows: everything but the records kept, which move
  ;; down, oldest first. The caller's input is not among them. As TinyGo does, it
  ;; takes all of the memory for its heap, whoever has grown it.
  (func $room (param $size i32)
    (local $k i32) (local $slot i32) (local $to i32)
    (if (i32.le_u (i32.add (global.get $bump) (local.get $size)) (call $memory_end)) (then (return)))
    (local.set $to (i32.const 1024))
    (loop $next
      (local.set $slot (i32.add (i32.const 128)
        (i32.shl (i32.and (i32.add (global.get $count) (local.get $k)) (i32.const 7)) (i32.const 2))))
      (if (i32.load (local.get $slot)) (then
        (memory.copy (local.get $to) (i32.load (local.get $slot)) (i32.const 516))
        (i32.store (local.get $slot) (local.get $to))
        (local.set $to (i32.add (local.get $to) (i32.const 528)))))
      (br_if $next (i32.lt_u (local.tee $k (i32.add (local.get $k) (i32.const 1))) (i32.const 8))))
    (global.set $bump (local.get $to))
    (block $enough
      (loop $grow
        (br_if $enough (i32.le_u (i32.add (global.get $bump) (local.get $size)) (call $memory_end)))
        (br_if $grow (i32.ne (memory.grow (memory.size)) (i32.const -1))))
      unreachable)) ;; out of memory is a panic

  (func $alloc (param $size i32) (result i32)
    (local $at i32)
    (call $room (local.get $size))
    (local.set $at (global.get $bump))
    (global.set $bump (i32.and (i32.add (i32.add (local.get $at) (local.get $size)) (i32.const 15)) (i32.const -16)))
    (local.get $at))

  ;; $find answers the place of p in the list of buffers, or traps.
  (func $find (param $p i32) (result i32)
    (local $i i32)
    (local.set $i (i32.const 192))
    (loop $next
      (if (i32.eq (i32.load (local.get $i)) (local.get $p)) (then (return (local.get $i))))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 4))) (i32.const 256))))
    unreachable)

  ;; Leaves room for what a call with this input takes, so that a buffer which is
  ;; given back after each call does not see a collection.
  (func $malloc (export "malloc") (param $size i32) (result i32)
    (local $at i32)
    (call $room (i32.add (i32.shl (local.get $size) (i32.const 1)) (i32.const 1024)))
    (local.set $at (call $alloc (local.get $size)))
    (i32.store (call $find (i32.const 0)) (local.get $at))
    (local.get $at))

  ;; Traps for anything that malloc has not given.
  (func (export "free") (param $p i32)
    (if (local.get $p) (then (i32.store (call $find (local.get $p)) (i32.const 0)))))

  (func (export "calloc") (param $n i32) (param $size i32) (result i32)
    (call $malloc (i32.mul (local.get $n) (local.get $size))))

  (func (export "realloc") (param $p i32) (param $size i32) (result i32) unreachable)

  (func $copy (param $to i32) (param $from i32) (param $len i32) (result i32)
    (memory.copy (local.get $to) (local.get $from) (local.get $len))
    (i32.add (local.get $to) (local.get $len)))

  (func $decimal (param $to i32) (param $v i32) (result i32)
    (if (i32.ge_u (local.get $v) (i32.const 10)) (then
      (local.set $to (call $decimal (local.get $to) (i32.div_u (local.get $v) (i32.const 10))))))
    (i32.store8 (local.get $to) (i32.add (i32.const 48) (i32.rem_u (local.get $v) (i32.const 10))))
    (i32.add (local.get $to) (i32.const 1)))

  (func $fnv1a (param $p i32) (param $len i32) (result i32)
    (local $h i32)
    (local.set $h (i32.const 0x811c9dc5))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $len)))
        (local.set $h (i32.mul (i32.xor (local.get $h) (i32.load8_u (local.get $p))) (i32.const 0x01000193)))
        (local.set $p (i32.add (local.get $p) (i32.const 1)))
        (local.set $len (i32.sub (local.get $len) (i32.const 1)))
        (br $next)))
    (local.get $h))

  ;; $drops says whether "drop":true is in the text.
  (func $drops (param $p i32) (param $len i32) (result i32)
    (block $no
      (loop $next
        (br_if $no (i32.lt_s (local.get $len) (i32.const 11)))
        (if (i64.eq (i64.load (local.get $p)) (i64.load (i32.const 96))) (then
          (if (i64.eq (i64.load offset=3 (local.get $p)) (i64.load (i32.const 99))) (then (return (i32.const 1))))))
        (local.set $p (i32.add (local.get $p) (i32.const 1)))
        (local.set $len (i32.sub (local.get $len) (i32.const 1)))
        (br $next)))
    (i32.const 0))

  (func (export "probe") (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
                         (param $record i32) (param $len i32) (result i32)
    (local $slot i32) (local $kept i32) (local $sum i32) (local $reply i32) (local $at i32)
    (local.set $slot (i32.add (i32.const 128) (i32.shl (i32.and (global.get $count) (i32.const 7)) (i32.const 2))))
    (if (local.tee $kept (i32.load (local.get $slot))) (then
      (local.set $sum (call $fnv1a (i32.add (local.get $kept) (i32.const 4)) (i32.load (local.get $kept))))))
    (local.set $kept (call $alloc (i32.const 516)))
    (i32.store (local.get $kept)
      (select (local.get $len) (i32.const 512) (i32.lt_u (local.get $len) (i32.const 512))))
    (memory.copy (i32.add (local.get $kept) (i32.const 4)) (local.get $record) (i32.load (local.get $kept)))
    (i32.store (local.get $slot) (local.get $kept))
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (if (call $drops (local.get $record) (local.get $len)) (then (return (i32.const 0))))

    (local.set $reply (call $alloc (i32.add (i32.add (local.get $len) (local.get $tag_len)) (i32.const 128))))
    (local.set $at (call $copy (local.get $reply) (i32.const 0) (i32.const 8)))
    (local.set $at (call $copy (local.get $at) (local.get $tag) (local.get $tag_len)))
    (local.set $at (call $copy (local.get $at) (i32.const 16) (i32.const 8)))
    (local.set $at (call $decimal (local.get $at) (local.get $sec)))
    (local.set $at (call $copy (local.get $at) (i32.const 32) (i32.const 8)))
    (local.set $at (call $decimal (local.get $at) (local.get $nsec)))
    (local.set $at (call $copy (local.get $at) (i32.const 48) (i32.const 9)))
    (local.set $at (call $decimal (local.get $at) (global.get $count)))
    (local.set $at (call $copy (local.get $at) (i32.const 64) (i32.const 7)))
    (local.set $at (call $decimal (local.get $at) (local.get $sum)))
    (local.set $at (call $copy (local.get $at) (i32.const 80) (i32.const 10)))
    (local.set $at (call $copy (local.get $at) (local.get $record) (local.get $len)))
    (i32.store16 (local.get $at) (i32.const 0x7d)) ;; } and NUL
    (local.get $reply)))
