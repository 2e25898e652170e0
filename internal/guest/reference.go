package guest

// Reference guests return the record that they are given, or nothing if its
// seconds are 0; a batch guest keeps all. There is one for each way in which input reaches a guest: a call
// of it costs what the crossing costs, and next to nothing in the guest.
var references = [...]string{
	allocMalloc: `(module (memory (export "memory") 1)
		(func (export "malloc") (param $n i32) (result i32)
			(local $missing i32)
			(local.set $missing (i32.sub
				(i32.shr_u (i32.add (local.get $n) (i32.const 66559)) (i32.const 16))
				(memory.size)))
			(if (i32.gt_s (local.get $missing) (i32.const 0))
				(then (drop (memory.grow (local.get $missing)))))
			(i32.const 1024))
		(func (export "free") (param i32))` + referenceFilter,
	allocPinned: `(module (memory (export "memory") 1)
		(func (export "__new") (param $n i32) (param i32) (result i32)
			(local $page i32)
			(local.set $page (memory.grow
				(i32.shr_u (i32.add (local.get $n) (i32.const 65535)) (i32.const 16))))
			(select (i32.const 0) (i32.shl (local.get $page) (i32.const 16))
				(i32.eq (local.get $page) (i32.const -1))))
		(func (export "__pin") (param i32) (result i32) (local.get 0))` + referenceFilter,
	allocGrown: `(module (memory (export "memory") 1)` + referenceFilter,
	allocHeap: `(module (import "env" "malloc" (func (param i32) (result i32)))
		(memory (export "memory") 1)` + referenceFilter,
	allocOwn: `(module (memory (export "memory") 1)
		(func (export "flb_batch_1"))
		(func (export "flb_buffer") (param $n i32) (result i32)
			(local $page i32)
			(local.set $page (memory.grow
				(i32.shr_u (i32.add (local.get $n) (i32.const 65535)) (i32.const 16))))
			(select (i32.const 0) (i32.shl (local.get $page) (i32.const 16))
				(i32.eq (local.get $page) (i32.const -1))))
		(func (export "filter") (param i32 i32) (result i32) (i32.const 0)))`,
}

const (
	referenceFunction = "filter"
	referenceFilter   = `
		(func (export "filter") (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32)
			(param $record i32) (param $record_len i32) (result i32)
			(select (local.get $record) (i32.const 0) (local.get $sec))))`
)

// NewReference makes an instance of the reference guest that is called as m is
// with that config. The caller closes both.
func (m *Module) NewReference(config Config) (*Module, *Instance, error) {
	text := references[m.abi(config).allocator]
	reference, err := loadContent(Source{Path: "reference"}, []byte(text))
	if err != nil {
		return nil, nil, err
	}
	in, err := reference.NewInstance(Config{
		Function:         referenceFunction,
		Msgpack:          config.Msgpack,
		HeapBytes:        config.HeapBytes,
		Timeout:          config.Timeout,
		MemoryLimitBytes: config.MemoryLimitBytes,
	})
	if err != nil {
		reference.Close()
		return nil, nil, err
	}
	return reference, in, nil
}
