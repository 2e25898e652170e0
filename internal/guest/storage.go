package guest

import "fmt"

// Limits that no option sets: more than any usable guest needs.
const (
	maxTableElements = 1 << 20 // of one table
	maxTables        = 16
	maxMemories      = 4
)

// wasmtime keeps at most a pointer for each element of a table.
const tableElementBytes = 8

// storage is the memories and tables that a module has of its own, exported or not.
type storage struct {
	Memories    int     `json:"memories,omitempty"`
	MemoryPages uint64  `json:"memory_pages,omitempty"` // of all, at the start
	Tables      []table `json:"tables,omitempty"`
	TableGrow   bool    `json:"table_grow,omitempty"` // it may have the instruction
	Shared      bool    `json:"shared,omitempty"`     // one of the memories is
}

type table struct {
	Min     uint64 `json:"min"`
	Max     uint64 `json:"max"` // if it is bounded
	Bounded bool   `json:"bounded,omitempty"`
}

// budget is how the memory_limit of an instance is divided.
type budget struct {
	tableBytes    uint64 // at the start
	memoryBytes   uint64 // the same
	tableElements uint64 // that one table may grow to
	tablesRoom    uint64 // bytes that all of them may grow to
}

// budget divides a limit. What tables may grow by is set aside, since nothing tells when
// they do: an eighth of the limit for all.
func (s *storage) budget(limit uint64) budget {
	b := budget{memoryBytes: s.MemoryPages * pageBytes, tableElements: maxTableElements}
	if s.TableGrow && len(s.Tables) > 0 {
		b.tableElements = min(b.tableElements, limit/8/tableElementBytes/uint64(len(s.Tables)))
		for _, t := range s.Tables {
			b.tableElements = max(b.tableElements, t.Min)
		}
	}
	for _, t := range s.Tables {
		grown := t.Min
		if s.TableGrow {
			grown = b.tableElements
			if t.Bounded {
				grown = max(t.Min, min(t.Max, grown))
			}
		}
		b.tableBytes += t.Min * tableElementBytes
		b.tablesRoom += grown * tableElementBytes
	}
	return b
}

// problems says why no instance could be made with that memory_limit.
func (s *storage) problems(limit uint64) []string {
	var list []string
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if s.Memories > maxMemories {
		add("the module has %d memories: at most %d are allowed", s.Memories, maxMemories)
	}
	if s.Shared {
		add("the module has a shared memory: build it without threads")
	}
	if len(s.Tables) > maxTables {
		add("the module has %d tables: at most %d are allowed", len(s.Tables), maxTables)
	}
	for _, t := range s.Tables {
		if t.Min > maxTableElements {
			add("the module has a table of %d elements: at most %d are allowed", t.Min, maxTableElements)
			return list // sums might overflow
		}
	}
	b := s.budget(limit)
	if need := b.memoryBytes + b.tablesRoom; need > limit {
		add("the module needs %d bytes from the start (%d for its memory, %d for its tables), and memory_limit is %d: raise memory_limit",
			need, b.memoryBytes, b.tablesRoom, limit)
	}
	return list
}

// The instruction that grows tables (WebAssembly 2.0, 5.4).
const (
	prefixMisc  = 0xfc
	opTableGrow = 15
)

// storageOf reads them from a module. One that is not valid has any.
func storageOf(wasm []byte) storage {
	s := storage{TableGrow: hasTableGrow(wasm)}
	_ = sections(wasm, func(id byte, _, content []byte) error {
		r := wasmReader{rest: content}
		switch id {
		case sectionTable:
			// One more than is allowed is enough to know.
			for n := min(r.u32(), maxTables+1); n > 0 && !r.failed; n-- {
				r.valType()
				l := r.limits()
				s.Tables = append(s.Tables, table{l.pages, l.maxPages, l.bounded})
			}
		case sectionMemory:
			for n := r.u32(); n > 0 && !r.failed; n-- {
				l := r.limits()
				s.Memories++
				s.MemoryPages += min(l.pages, maxPages+1) // more is refused all the same
				s.Shared = s.Shared || l.isShared
			}
		}
		return nil
	})
	return s
}

// hasTableGrow says whether the bytes of the instruction stand anywhere in the module, its
// number in any length that is allowed.
func hasTableGrow(wasm []byte) bool {
	for i, b := range wasm {
		if b != prefixMisc {
			continue
		}
		r := wasmReader{rest: wasm[i+1 : min(len(wasm), i+6)]}
		if r.u32() == opTableGrow && !r.failed {
			return true
		}
	}
	return false
}
