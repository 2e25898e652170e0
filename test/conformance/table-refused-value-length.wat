;; A file with a value of more than 1 MiB is refused when it is loaded.
;; options: {"table.doc": "$DIR/doc.json"}
;; files: {"doc.json": {"$join": ["{\"x\": \"", {"$repeat": ["x", 1048577]}, "\"}"]}}
;; refused: ["doc"]
(module
  (import "flb_v1" "table_open" (func $table_open (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32) (i32.const 0)))
