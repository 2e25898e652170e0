;; Keys and values of more than 1 MiB in all are refused.
;; options: {"config_file": "$DIR/config.json", "config.k": "seven!!"}
;; files: {"config.json": {"$join": ["{\"word\":\"", {"$repeat": ["x", 1048565]}, "\"}"]}}
;; refused: ["config"]
(module
  (memory (export "memory") 17)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local.get 4)))
