package guest

import "fmt"

// Limits that no option sets: more than any guest of use needs.
const (
	maxTableElements = 1 << 20 // of one table
	maxTables        = 16
	maxMemories      = 4
)

// wasmtime keeps at most a pointer for each element of a table.
const tableElementBytes = 8

// spaces are the memories and tables that a module has of its own, exported or not.
type spaces struct {
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
func (s *spaces) budget(limit uint64) budget {
	b := budget{memoryBytes: s.MemoryPages * pageBytes, tableElements: maxTableElements}
	if s.TableGrow && len(s.Tables) > 0 {
		b.tableElements = min(b.tableElements, limit/8/tableElementBytes/uint64(len(s.Tables)))
		for _, t := range s.Tables {
			b.tableElements = max(b.tableElements, t.Min)
		}
	}
	for _, t := range s.Tables {
		most := t.Min
		if s.TableGrow {
			most = b.tableElements
			if t.Bounded {
				most = max(t.Min, min(t.Max, most))
			}
		}
		b.tableBytes += t.Min * tableElementBytes
		b.tablesRoom += most * tableElementBytes
	}
	return b
}

// problems says why no instance could be made with that memory_limit.
func (s *spaces) problems(limit uint64) []string {
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

// Ids of sections, and the instruction that grows tables (WebAssembly 2.0, 5.5 and 5.4).
const (
	sectionTable  = 4
	sectionMemory = 5

	prefixMisc  = 0xfc
	opTableGrow = 15
)

// spacesOf reads them from a module. A module that is not valid has any.
func spacesOf(wasm []byte) spaces {
	s := spaces{TableGrow: hasTableGrow(wasm)}
	r := binaryReader{wasm}
	r.bytes(8) // magic and version
	for len(r.rest) > 0 {
		id := r.byte()
		section := binaryReader{r.bytes(r.number())}
		switch id {
		case sectionTable:
			// One more than is allowed is enough to know.
			for n := min(section.number(), maxTables+1); n > 0 && len(section.rest) > 0; n-- {
				section.refType()
				l := section.limits()
				s.Tables = append(s.Tables, table{l.min, l.max, l.bounded})
			}
		case sectionMemory:
			for n := section.number(); n > 0 && len(section.rest) > 0; n-- {
				l := section.limits()
				s.Memories++
				s.MemoryPages += min(l.min, maxPages+1) // more is refused all the same
				s.Shared = s.Shared || l.shared
			}
		}
	}
	return s
}

// hasTableGrow says whether the bytes of the instruction stand anywhere in the module, its
// number in any length that is allowed.
func hasTableGrow(wasm []byte) bool {
	for i, b := range wasm {
		if b != prefixMisc {
			continue
		}
		r := binaryReader{wasm[i+1 : min(len(wasm), i+6)]}
		if len(r.rest) > 0 && r.number() == opTableGrow {
			return true
		}
	}
	return false
}

// binaryReader reads the binary format. Behind its end there are zeroes.
type binaryReader struct{ rest []byte }

func (r *binaryReader) bytes(n uint64) []byte {
	n = min(n, uint64(len(r.rest)))
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *binaryReader) byte() byte {
	if taken := r.bytes(1); len(taken) > 0 {
		return taken[0]
	}
	return 0
}

// number reads an integer in LEB128, unsigned.
func (r *binaryReader) number() (n uint64) {
	for shift := 0; shift < 64; shift += 7 {
		b := r.byte()
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			break
		}
	}
	return n
}

// refType skips a reference type: one byte, or a prefix and a heap type.
func (r *binaryReader) refType() {
	const ref, refNull = 0x64, 0x63
	if b := r.byte(); b == ref || b == refNull {
		r.number()
	}
}

type limits struct {
	min, max        uint64
	bounded, shared bool
}

func (r *binaryReader) limits() (l limits) {
	flags := r.byte()
	l.bounded, l.shared = flags&1 != 0, flags&2 != 0
	l.min = r.number()
	if l.bounded {
		l.max = r.number()
	}
	return l
}
