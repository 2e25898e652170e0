;; A module that imports a function of metrics does not start with metrics_series 0, which the message
;; names with the function.
;; options: {"metrics_series": "0"}
;; refused: ["metric_define", "metrics_series"]
(module
  (import "flb_v1" "metric_define" (func $metric_define (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "filter")
    (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
    (param $record i32) (param $record_len i32) (result i32) (i32.const 0)))
