package guest

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"path"
	"slices"
	"sort"
	"strings"
	"sync"
)

// Lines of source, from the line programs in a module's .debug_line (DWARF 5, 6.2; versions 2 to
// 5). They are read here because debug/dwarf trusts its input: a module's few bytes could make it
// ask for any amount of memory, or never end.

const (
	// maxDebugBytes bounds the debug information that is kept of a module.
	maxDebugBytes = 64 << 20

	// maxSourceFiles bounds what one unit lists.
	maxSourceFiles = 1 << 16

	// maxLines and maxNameBytes bound what is made of the programs of a module: what comes after
	// that many lines, or bytes of names, is not known. Many names may be one long string, or its
	// ends.
	maxLines     = 4 << 20
	maxNameBytes = 16 << 20

	// maxPathBytes is what is read of one name.
	maxPathBytes = 4096
)

// lineTable finds lines for offsets in a module. It reads the programs when it is first asked. A
// nil table finds nothing.
type lineTable struct {
	programs, names []byte // .debug_line, .debug_line_str
	code            uint64 // where in the module the code section's content starts
	read            sync.Once
	entries         []lineEntry // by address
	nameBytes       int         // of all names that have been read
}

// lineEntry says what line the code is of from an address on; 0: none that is known.
type lineEntry struct {
	address uint64
	line    int32
	order   int32 // in the programs
	file    string
}

// newLineTable keeps what is needed of a module; nil: it has no lines, or too many.
func newLineTable(wasm []byte) *lineTable {
	t := &lineTable{}
	at := wasmHeaderBytes
	err := sections(wasm, func(id byte, whole, content []byte) error {
		at += len(whole)
		switch id {
		case sectionCustom:
			r := wasmReader{rest: content}
			switch name := r.bytes(r.u32()); {
			case r.failed:
			case string(name) == ".debug_line":
				t.programs = r.rest
			case string(name) == ".debug_line_str":
				t.names = r.rest
			}
		case sectionCode:
			t.code = uint64(at - len(content))
		}
		return nil
	})
	if err != nil || len(t.programs) == 0 || len(t.programs)+len(t.names) > maxDebugBytes {
		return nil
	}
	t.programs, t.names = bytes.Clone(t.programs), bytes.Clone(t.names) // not all of the module
	return t
}

// find returns "file:line" for an offset in the module, "" if it is not known.
func (t *lineTable) find(offset uint64) string {
	if t == nil || offset < t.code {
		return ""
	}
	t.read.Do(t.load)
	i := sort.Search(len(t.entries), func(i int) bool { return t.entries[i].address > offset-t.code }) - 1
	if i < 0 || t.entries[i].line == 0 {
		return ""
	}
	return fmt.Sprintf("%s:%d", t.entries[i].file, t.entries[i].line)
}

func (t *lineTable) load() {
	for rest := t.programs; len(rest) >= 4 && !t.full(); {
		n := binary.LittleEndian.Uint32(rest)
		unit := rest[4:]
		if uint64(n) > uint64(len(unit)) {
			break // damaged, or 64-bit DWARF, which no module has
		}
		t.unit(unit[:n])
		rest = unit[n:]
	}
	t.programs, t.names = nil, nil
	slices.SortFunc(t.entries, func(a, b lineEntry) int {
		if a.address == b.address && (a.line == 0) != (b.line == 0) {
			// One function may end where another begins.
			return cmp.Compare(min(a.line, 1), min(b.line, 1))
		}
		return cmp.Or(cmp.Compare(a.address, b.address), cmp.Compare(a.order, b.order))
	})
}

// full says that no more is read.
func (t *lineTable) full() bool { return len(t.entries) >= maxLines || t.nameBytes >= maxNameBytes }

// name makes a name of what stands up to a NUL, if there is one, and counts it.
func (t *lineTable) name(text []byte) string {
	text = text[max(len(text)-maxPathBytes, 0):]
	t.nameBytes += len(text) + 1
	return string(text)
}

// nameAt is the name at an offset in .debug_line_str.
func (t *lineTable) nameAt(at uint64) string {
	if at >= uint64(len(t.names)) {
		return ""
	}
	text := t.names[at:min(at+maxPathBytes, uint64(len(t.names)))]
	if n := bytes.IndexByte(text, 0); n >= 0 {
		text = text[:n]
	}
	return t.name(text)
}

// lineReader reads the parts of a unit. What is not there reads as 0.
type lineReader struct {
	rest   []byte
	failed bool
}

func (r *lineReader) take(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.rest, r.failed = nil, true
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

// uint reads a number of up to 8 bytes.
func (r *lineReader) uint(n uint64) (v uint64) {
	for i, b := range r.take(n) {
		v |= uint64(b) << (8 * (i & 7))
	}
	return v
}

func (r *lineReader) uleb() (v uint64) {
	for shift := 0; ; shift += 7 {
		b := r.uint(1)
		if shift < 64 {
			v |= (b & 0x7f) << shift
		}
		if b < 0x80 {
			return v
		}
	}
}

func (r *lineReader) sleb() int64 {
	before := len(r.rest)
	v := int64(r.uleb())
	if bits := 7 * (before - len(r.rest)); bits < 64 && bits > 0 && v>>(bits-1)&1 == 1 {
		v -= 1 << bits
	}
	return v
}

// text reads up to a NUL.
func (r *lineReader) text() []byte {
	n := bytes.IndexByte(r.rest, 0)
	if n < 0 {
		r.take(uint64(len(r.rest)) + 1)
		return nil
	}
	text := r.take(uint64(n))
	r.take(1)
	return text
}

// unit adds the lines of one program.
func (t *lineTable) unit(unit []byte) {
	r := lineReader{rest: unit}
	version := r.uint(2)
	if version < 2 || version > 5 {
		return
	}
	if version == 5 {
		r.take(2) // sizes of an address and of a segment selector
	}
	header := lineReader{rest: r.take(r.uint(4))}
	header.take(1) // min_inst_length: 1
	if version >= 4 {
		header.take(1) // max_ops_per_inst: 1
	}
	header.take(1) // default_is_stmt
	base := int64(int8(header.uint(1)))
	lineRange := header.uint(1)
	opcodeBase := header.uint(1)
	lengths := append([]byte{0}, header.take(max(opcodeBase, 1)-1)...)
	if header.failed || r.failed || lineRange == 0 {
		return
	}
	p := lineProgram{t: t, base: base, lineRange: lineRange, lengths: lengths}
	if version == 5 {
		p.dirs = header.entries5(t, nil)
		p.files = header.entries5(t, p.dirs)
	} else {
		p.dirs, p.files = header.entries4(t)
	}
	if !header.failed {
		p.run(&r)
	}
}

// entries4 reads the directories and files of versions 2 to 4. Number 0 is the unit's own, which
// is not listed.
func (r *lineReader) entries4(t *lineTable) (dirs, files []string) {
	dirs, files = []string{""}, []string{""}
	for dir := r.text(); len(dir) > 0 && len(dirs) < maxSourceFiles && !t.full(); dir = r.text() {
		dirs = append(dirs, path.Base(t.name(dir)))
	}
	for file := r.text(); len(file) > 0 && len(files) < maxSourceFiles && !t.full(); file = r.text() {
		dir := r.uleb()
		r.uleb() // time
		r.uleb() // size
		files = append(files, t.shortPath(dirs, dir, t.name(file)))
	}
	return dirs, files
}

// Content types and forms of version 5 (7.22, 7.5.6) that compilers use here.
const (
	contentPath = 1
	contentDir  = 2

	formBlock   = 0x09
	formData1   = 0x0b
	formData2   = 0x05
	formData4   = 0x06
	formData8   = 0x07
	formData16  = 0x1e
	formLineStr = 0x1f
	formString  = 0x08
	formUdata   = 0x0f
)

// entries5 reads directories, or with dirs files, of version 5.
func (r *lineReader) entries5(t *lineTable, dirs []string) (list []string) {
	type format struct{ content, form uint64 }
	var formats []format
	for range r.uint(1) {
		formats = append(formats, format{r.uleb(), r.uleb()})
	}
	count := r.uleb()
	if len(formats) == 0 || count > maxSourceFiles {
		r.failed = r.failed || count > 0
		return nil
	}
	for ; count > 0 && !r.failed && !t.full(); count-- {
		var name string
		var dir uint64
		for _, f := range formats {
			var text string
			var number uint64
			switch f.form {
			case formString:
				text = t.name(r.text())
			case formLineStr:
				text = t.nameAt(r.uint(4))
			case formData1:
				number = r.uint(1)
			case formData2:
				number = r.uint(2)
			case formData4:
				number = r.uint(4)
			case formData8:
				number = r.uint(8)
			case formData16:
				r.take(16) // MD5
			case formUdata:
				number = r.uleb()
			case formBlock:
				r.take(r.uleb())
			default:
				r.failed = true
			}
			switch f.content {
			case contentPath:
				name = text
			case contentDir:
				dir = number
			}
		}
		if dirs != nil {
			name = t.shortPath(dirs, dir, name)
		} else if name != "" {
			name = path.Base(name)
		}
		list = append(list, name)
	}
	return list
}

// shortPath is a file's name with that of its directory, which tell enough.
func (t *lineTable) shortPath(dirs []string, dir uint64, file string) string {
	parent, name := path.Split(file)
	if parent == "" && dir < uint64(len(dirs)) {
		parent = dirs[dir]
	}
	if parent = path.Base(parent); parent == "." || parent == "/" {
		return name
	}
	t.nameBytes += len(parent) + len(name)
	return strings.TrimPrefix(parent+"/"+name, "./")
}

// lineProgram is the machine of a line program, as far as lines need it.
type lineProgram struct {
	t         *lineTable
	base      int64
	lineRange uint64
	lengths   []byte // how many arguments the standard opcodes have
	dirs      []string
	files     []string

	address uint64
	file    uint64
	line    int64
}

// Opcodes (7.22).
const (
	opCopy           = 1
	opAdvancePC      = 2
	opAdvanceLine    = 3
	opSetFile        = 4
	opConstAddPC     = 8
	opFixedAdvancePC = 9

	opExtended   = 0
	opEnd        = 1
	opSetAddress = 2
)

func (p *lineProgram) reset() { p.address, p.file, p.line = 0, 1, 1 }

// emit adds an entry: at most one for each byte of a program.
func (p *lineProgram) emit(line int64) {
	e := lineEntry{address: p.address, order: int32(len(p.t.entries))}
	if line > 0 && line < 1<<31 && p.file < uint64(len(p.files)) {
		e.line, e.file = int32(line), p.files[p.file]
	}
	p.t.entries = append(p.t.entries, e)
}

func (p *lineProgram) run(r *lineReader) {
	p.reset()
	for len(r.rest) > 0 && !p.t.full() {
		op := r.uint(1)
		switch {
		case op >= uint64(len(p.lengths)):
			p.advance(op - uint64(len(p.lengths)))
			p.line += p.base + int64((op-uint64(len(p.lengths)))%p.lineRange)
			p.emit(p.line)
		case op == opExtended:
			p.extended(lineReader{rest: r.take(r.uleb())})
		case op == opCopy:
			p.emit(p.line)
		case op == opAdvancePC:
			p.address += r.uleb()
		case op == opAdvanceLine:
			p.line += r.sleb()
		case op == opSetFile:
			p.file = r.uleb()
		case op == opConstAddPC:
			p.advance(255 - uint64(len(p.lengths)))
		case op == opFixedAdvancePC:
			p.address += r.uint(2)
		default:
			for range p.lengths[op] {
				r.uleb()
			}
		}
	}
}

func (p *lineProgram) advance(adjusted uint64) { p.address += adjusted / p.lineRange }

func (p *lineProgram) extended(r lineReader) {
	switch r.uint(1) {
	case opEnd:
		p.emit(0)
		p.reset()
	case opSetAddress:
		p.address = r.uint(uint64(min(len(r.rest), 8)))
	}
}
