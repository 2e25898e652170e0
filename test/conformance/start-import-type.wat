;; A function of another type than the host's keeps the module from starting, with a message that
;; names it.
;; refused: ["flb_v1", "config_count"]
(module
  (import "flb_v1" "config_count" (func (param i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "filter") (param i32 i32 i32 i32 i32 i32) (result i32) (local.get 4)))
