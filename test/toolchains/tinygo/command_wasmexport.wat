;; Stands in for what TinyGo 0.34 and later makes of //go:wasmexport functions
;; without -buildmode=c-shared: a command. Its functions trap before _start, and
;; after it, once main has returned, again. The messages and the names are what
;; tells such a module from a command of //export functions.
(module
  (memory (export "memory") 2)
  (global $state (mut i32) (i32.const 0)) ;; 0 before main, 1 in it, 2 after it
  (data (i32.const 1024) "panic: runtime error: //go:wasmexport function called before runtime initialization")
  (data (i32.const 1280) "//go:wasmexport function called after main.main returned")

  (func (export "_start") (global.set $state (i32.const 2)))
  (func (export "malloc") (param i32) (result i32) (i32.const 4096))
  (func (export "free") (param i32))
  (func (export "calloc") (param i32 i32) (result i32) unreachable)
  (func (export "realloc") (param i32 i32) (result i32) unreachable)

  (func $main.probe#wasmexport (export "probe") (param i32 i32 i32 i32 i32 i32) (result i32)
    (if (i32.ne (global.get $state) (i32.const 1)) (then unreachable))
    (i32.const 0)))
