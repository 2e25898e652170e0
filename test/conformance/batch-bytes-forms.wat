;; A batch has at most batch_bytes of its events in whatever form they are: here, with times that are floats.
;; options: {"batch_bytes": "200"}
;; chunk: [{"$hex": "92 92 cb41d954fc40000000 80 81a161 d946 78787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878"},
;;   {"$hex": "92 92 cb41d954fc40000000 80 81a161 d946 78787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878"},
;;   {"$hex": "92 92 cb41d954fc40000000 80 81a161 d946 78787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878"},
;;   {"$hex": "92 92 cb41d954fc40000000 80 81a161 d946 78787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878"},
;;   {"$hex": "92 92 cb41d954fc40000000 80 81a161 d946 78787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878"}]
;; out: "unchanged"
(module
  (memory (export "memory") 17)
  (func (export "flb_batch_1"))
  (func (export "flb_buffer") (param i32) (result i32) (i32.const 65536))
  (func (export "filter") (param $input i32) (param $length i32) (result i32)
    (local $event i32) (local $i i32) (local $bytes i32)
    (local.set $event (i32.add (local.get $input) (i32.load offset=16 (local.get $input))))
    (loop $next
      (local.set $bytes (i32.add (local.get $bytes) (i32.add (i32.load offset=20 (local.get $event)) (i32.load offset=28 (local.get $event)))))
      (local.set $event (i32.add (local.get $event) (i32.load offset=24 (local.get $input))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.load offset=20 (local.get $input)))))
    (if (i32.and (i32.gt_u (local.get $i) (i32.const 1)) (i32.gt_u (local.get $bytes) (i32.const 200)))
      (then (unreachable)))
    (i32.const 0)))
