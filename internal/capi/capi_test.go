package capi

import (
	"debug/dwarf"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/bytecodealliance/wasmtime-go/v44"
)

// declarations are what a C header declares, worded so that two of them are compatible if
// the words are the same: with the layout of structs, and what pointers point to.
type declarations map[string]string

// foreignFunction is a function of wasmtime's that is called or declared.
var foreignFunction = regexp.MustCompile(`\b(wasm\w*)\s*\(`)

// readDeclarations has the C compiler say what it makes of the header, of these functions,
// and of all types, enumerators and macros. An error is the compiler's.
func readDeclarations(dir, include string, functions []string, flags ...string) (declarations, error) {
	var unit strings.Builder
	unit.WriteString(include + "\n")
	for _, f := range functions {
		fmt.Fprintf(&unit, "__typeof__(&%s) pointer_%s;\n", f, f)
	}
	source, object := filepath.Join(dir, "unit.c"), filepath.Join(dir, "unit.o")
	if err := os.WriteFile(source, []byte(unit.String()), 0o600); err != nil {
		return nil, err
	}
	cc, err := exec.Command("go", "env", "CC").Output()
	if err != nil {
		return nil, err
	}
	command := append(strings.Fields(string(cc)), flags...)
	run := func(args ...string) (string, error) {
		args = append(slices.Clone(command), args...)
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		return string(out), err
	}
	if _, err := run("-std=gnu11", "-g", "-fno-eliminate-unused-debug-types", "-c", "-o", object, source); err != nil {
		return nil, err
	}
	macros, err := run("-dM", "-E", source)
	if err != nil {
		return nil, err
	}
	file, err := elf.Open(object)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := file.DWARF()
	if err != nil {
		return nil, err
	}

	found := make(declarations)
	for _, m := range regexp.MustCompile(`(?m)^#define (WASM\w+) (.*)$`).FindAllStringSubmatch(macros, -1) {
		found[m[1]] = m[2]
	}
	for r := data.Reader(); ; {
		entry, err := r.Next()
		if err != nil {
			return nil, err
		}
		if entry == nil {
			return found, nil
		}
		name, _ := entry.Val(dwarf.AttrName).(string)
		switch entry.Tag {
		case dwarf.TagEnumerator:
			found[name] = fmt.Sprint(entry.Val(dwarf.AttrConstValue))
		case dwarf.TagTypedef, dwarf.TagVariable:
			at := entry.Offset
			if entry.Tag == dwarf.TagVariable {
				name = strings.TrimPrefix(name, "pointer_")
				at = entry.Val(dwarf.AttrType).(dwarf.Offset)
			}
			typ, err := data.Type(at)
			if err != nil {
				return nil, err
			}
			found[name] = wordCType(typ, nil)
		}
	}
}

// wordCType words a type; outer are the structs that it is inside of.
func wordCType(t dwarf.Type, outer []dwarf.Type) string {
	inner := func(t dwarf.Type) string {
		if t == nil {
			return "void"
		}
		return wordCType(t, outer)
	}
	switch t := t.(type) {
	case *dwarf.TypedefType:
		return t.Name + "=" + inner(t.Type)
	case *dwarf.PtrType:
		return "*" + inner(t.Type)
	case *dwarf.QualType:
		return t.Qual + " " + inner(t.Type)
	case *dwarf.ArrayType:
		return fmt.Sprintf("[%d]%s", t.Count, inner(t.Type))
	case *dwarf.FuncType:
		var params []string
		for _, p := range t.ParamType {
			params = append(params, inner(p))
		}
		return "func(" + strings.Join(params, ", ") + ") " + inner(t.ReturnType)
	case *dwarf.StructType:
		words := t.Kind + " " + t.StructName
		if t.Incomplete || slices.Contains(outer, dwarf.Type(t)) {
			return words
		}
		outer = append(slices.Clip(outer), t)
		for _, f := range t.Field {
			words += fmt.Sprintf("; %d %s %s", f.ByteOffset, f.Name, inner(f.Type))
		}
		return fmt.Sprintf("{%s; %d bytes}", words, t.ByteSize)
	default:
		return fmt.Sprintf("%s of %d bytes", t, t.Size())
	}
}

// wasmtimeGo is the directory of wasmtime-go.
func wasmtimeGo(t *testing.T) string {
	module := reflect.TypeFor[wasmtime.Config]().PkgPath()
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(root))
}

// engineHeaders is where engine/build puts the headers of the release that it builds.
const engineHeaders = "../../build/engine/include"

// needEngineHeaders skips a test if there are none, which must not be if their library is linked.
func needEngineHeaders(t *testing.T) {
	if _, err := os.Stat(engineHeaders); err == nil {
		return
	}
	if len(Targets) > 0 {
		t.Fatalf("the library of engine/ is linked, and %s has not its headers: make engine", engineHeaders)
	}
	t.Skipf("no %s: make engine", engineHeaders)
}

const wasmtimeIncludes = "#include <wasm.h>\n#include <wasi.h>\n#include <wasmtime.h>"

// differences compares what a header of this project's declares of wasmtime's C API with
// what wasmtime's own headers do, by name.
func differences(t *testing.T, header, include string) map[string]string {
	dir := t.TempDir()
	ours := filepath.Join(dir, "ours.h")
	if err := os.WriteFile(ours, []byte(header), 0o600); err != nil {
		t.Fatal(err)
	}
	var functions []string
	for _, m := range foreignFunction.FindAllStringSubmatch(header, -1) {
		functions = append(functions, m[1])
	}
	have, err := readDeclarations(dir, `#include "ours.h"`, functions)
	if err != nil {
		t.Fatal(err)
	}
	want, err := readDeclarations(dir, wasmtimeIncludes, functions, "-I", include)
	if err != nil {
		return map[string]string{"": err.Error()}
	}
	list := make(map[string]string)
	word := func(words string) string { return words }
	if include == engineHeaders {
		word = harmless.Replace
	}
	for name, words := range have {
		// What else there is, is of the compiler and the C library.
		if strings.HasPrefix(strings.ToLower(name), "wasm") && word(words) != word(want[name]) {
			list[name] = fmt.Sprintf("%s\nis declared as %s\nbut wasmtime has %s", name, words, want[name])
		}
	}
	for _, name := range append(functions, "wasmtime_extern_t", "WASMTIME_VERSION", "WASMTIME_TRAP_CODE_OUT_OF_FUEL") {
		if have[name] == "" {
			list[name] = name + " has not been compared"
		}
	}
	return list
}

func readHeader(t *testing.T) string {
	header, err := os.ReadFile("wasmtime.h")
	if err != nil {
		t.Fatal(err)
	}
	return string(header)
}

func TestForeignDeclarations(t *testing.T) {
	for _, d := range differences(t, readHeader(t), filepath.Join(wasmtimeGo(t), "build", "include")) {
		t.Error(d)
	}
}

// harmless words the differences of two releases that a caller compiled for one of them does not
// notice in the other: what is only read is const in more places, and a union of 16 bytes has a
// member more.
var harmless = strings.NewReplacer("const ", "", "; 0 exnref uint32_t=__uint32_t=unsigned int of 4 bytes", "")

// expectDifferences compares, by name, what differs with what is known to.
func expectDifferences(t *testing.T, found, known map[string]string) {
	for name, d := range found {
		if known[name] == "" {
			t.Error(d)
		}
	}
	for name, why := range known {
		if found[name] == "" {
			t.Errorf("%s does not differ, though %s", name, why)
		}
	}
}

// What is declared for the library of wasmtime-go is true of the one of engine/.
func TestEngineDeclarations(t *testing.T) {
	needEngineHeaders(t)
	expectDifferences(t, differences(t, readHeader(t), engineHeaders), map[string]string{
		"WASMTIME_VERSION":                     "flbwt_engine_version says it",
		"wasmtime_config_async_stack_size_set": "size_t is uint64_t on 64-bit machines; the library ignores it",
	})
}

// Functions, types and constants of wasmtime's C API in the source of wasmtime-go.
var (
	goCallsC = regexp.MustCompile(`\bC\.(was[mi]\w+)\(`)
	cCallsC  = regexp.MustCompile(`\b(was[mi]\w+)\(`)
	goUsesC  = regexp.MustCompile(`\bC\.((?:was[mi]|WAS[MI])\w+)`)
)

// wasmtime-go was compiled with the headers of its own release. What it takes from them is the
// same in those of engine/, or does no harm.
func TestEngineDeclarationsOfWasmtimeGo(t *testing.T) {
	needEngineHeaders(t)
	root := wasmtimeGo(t)
	var functions, names []string
	for _, pattern := range []string{"*.go", "shims.c"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			calls := goCallsC
			if filepath.Ext(file) == ".c" {
				calls = cCallsC
			}
			for _, m := range calls.FindAllStringSubmatch(string(text), -1) {
				functions = append(functions, m[1])
			}
			for _, m := range goUsesC.FindAllStringSubmatch(string(text), -1) {
				names = append(names, m[1])
			}
		}
	}
	// Conversions look like calls.
	functions = slices.DeleteFunc(functions, func(name string) bool {
		return strings.HasSuffix(name, "_t") || strings.HasSuffix(name, "_perms")
	})
	slices.Sort(functions)
	functions = slices.Compact(functions)
	if len(functions) < 150 {
		t.Fatalf("only %d functions were found", len(functions))
	}
	theirs, err := readDeclarations(t.TempDir(), wasmtimeIncludes, functions, "-I", filepath.Join(root, "build", "include"))
	if err != nil {
		t.Fatal(err)
	}
	linked, err := readDeclarations(t.TempDir(), wasmtimeIncludes, functions, "-I", engineHeaders)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]string)
	for _, name := range append(names, functions...) {
		if theirs[name] == "" {
			t.Errorf("%s has not been found", name)
		}
		if harmless.Replace(theirs[name]) != harmless.Replace(linked[name]) {
			found[name] = fmt.Sprintf("%s\nis %s\nin engine/ %s", name, theirs[name], linked[name])
		}
	}
	// The bits of permissions have become a bool that lets a directory be written to. So much the
	// better that the library has no WASI, and refuses.
	leftOut := "WASI is left out"
	expectDifferences(t, found, map[string]string{
		"wasi_config_preopen_dir":        leftOut,
		"wasi_dir_perms":                 leftOut,
		"WASMTIME_WASI_DIR_PERMS_READ":   leftOut,
		"WASMTIME_WASI_DIR_PERMS_WRITE":  leftOut,
		"WASMTIME_WASI_FILE_PERMS_READ":  leftOut,
		"WASMTIME_WASI_FILE_PERMS_WRITE": leftOut,
	})
}

func TestForeignDeclarationsDiffer(t *testing.T) {
	for _, c := range []struct{ name, old, new, differs string }{
		{"parameter missing", "bool wasmtime_trap_code(const wasm_trap_t *trap, wasmtime_trap_code_t *code)",
			"bool wasmtime_trap_code(const wasm_trap_t *trap)", "wasmtime_trap_code"},
		{"order of parameters", "wasmtime_trap_new(const char *msg, size_t msg_len)",
			"wasmtime_trap_new(size_t msg_len, const char *msg)", "wasmtime_trap_new"},
		{"trap for error", "void wasmtime_error_delete(wasmtime_error_t *error)",
			"void wasmtime_error_delete(wasm_trap_t *error)", "wasmtime_error_delete"},
		{"void for error", "void wasmtime_error_delete(wasmtime_error_t *error)",
			"void wasmtime_error_delete(void *error)", "wasmtime_error_delete"},
		{"const", "image_range(const wasmtime_module_t", "image_range(wasmtime_module_t", "wasmtime_module_image_range"},
		{"width of a parameter", "uint64_t delta", "uint32_t delta", "wasmtime_memory_grow"},
		{"result", "size_t wasmtime_memory_data_size", "uint32_t wasmtime_memory_data_size", "wasmtime_memory_data_size"},
		{"no such function", "wasm_trap_delete", "wasm_trap_remove", "wasm_trap_remove"},
		{"order of callbacks", "    wasmtime_memory_get_callback_t get_memory;\n    wasmtime_memory_grow_callback_t grow_memory;\n",
			"    wasmtime_memory_grow_callback_t grow_memory;\n    wasmtime_memory_get_callback_t get_memory;\n", "wasmtime_linear_memory_t"},
		{"parameter of a callback", "void *env, size_t new_size", "void *env, uint32_t new_size", "wasmtime_memory_grow_callback_t"},
		{"width of a field", "uint64_t store_id;\n    void *__private", "uint32_t store_id;\n    void *__private", "wasmtime_func_t"},
		{"name of a field", "float64_t f64", "float64_t d", "wasmtime_val_raw_t"},
		{"field missing", "    wasmtime_global_t global;\n", "", "wasmtime_extern_union_t"},
		{"field of another struct", "wasmtime_new_memory_callback_t new_memory;", "void *new_memory;", "wasmtime_memory_creator_t"},
		{"enumerator", "OUT_OF_FUEL = 11", "OUT_OF_FUEL = 12", "WASMTIME_TRAP_CODE_OUT_OF_FUEL"},
		{"macro", "WASMTIME_EXTERN_MEMORY 3", "WASMTIME_EXTERN_MEMORY 4", "WASMTIME_EXTERN_MEMORY"},
		{"version", "44.0.0\"", "44.0.1\"", "WASMTIME_VERSION"},
	} {
		t.Run(c.name, func(t *testing.T) {
			header := readHeader(t)
			if !strings.Contains(header, c.old) {
				t.Fatalf("the header has no %q", c.old)
			}
			list := differences(t, strings.Replace(header, c.old, c.new, 1), filepath.Join(wasmtimeGo(t), "build", "include"))
			if list[c.differs] == "" && !strings.Contains(list[""], c.differs) {
				t.Errorf("no difference of %s was found, but %q", c.differs, list)
			}
		})
	}
}

// One that is declared elsewhere would be compared with nothing.
func TestForeignDeclarationsInOnePlace(t *testing.T) {
	for _, c := range []struct {
		patterns []string
		allowed  string
		text     *regexp.Regexp
	}{
		{[]string{"../../*.[ch]", "../*/*.[ch]"}, "../capi/wasmtime.h", regexp.MustCompile(`(?m)^\w[\w *]*\bwasm\w*\(.*|^(typedef )?(struct|union) wasm.*`)},
		{[]string{"../../*.go", "../*/*.go"}, "../capi/capi.go", regexp.MustCompile(`(?m)^// *\w[\w *]*[ *]wasm\w*\(.*|.*\(\*+(unsafe\.Pointer|C\.wasm\w+)\)\(unsafe\..*`)},
	} {
		var files []string
		for _, pattern := range c.patterns {
			found, err := filepath.Glob(pattern)
			if err != nil || len(found) == 0 {
				t.Fatal(pattern, found, err)
			}
			files = append(files, found...)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			lines := c.text.FindAllString(string(content), -1)
			switch {
			case file == c.allowed && len(lines) == 0:
				t.Errorf("%s: nothing was recognized", file)
			case file != c.allowed && len(lines) > 0:
				t.Errorf("%s has what belongs into %s: %q", file, c.allowed, lines)
			}
		}
	}
}

// A caller's type of another name or size is not taken for wasmtime's.
func TestTypesOfCallers(t *testing.T) {
	type _Ctype_struct_wasm_config_t struct{}
	type other struct{}
	c := wasmtime.NewConfig()
	if Config[*_Ctype_struct_wasm_config_t](c) == nil {
		t.Error("no config")
	}
	for name, take := range map[string]func(){
		"another name": func() { Config[*other](c) },
		"no pointer":   func() { Config[_Ctype_struct_wasm_config_t](c) },
		"a number":     func() { Config[uintptr](c) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s was taken", name)
				}
			}()
			take()
		}()
	}
}

// What capi.go takes from wasmtime-go's types by their layout is what they have there.
func TestForeignStructs(t *testing.T) {
	engine := wasmtime.NewEngine()
	config, linker := wasmtime.NewConfig(), wasmtime.NewLinker(engine)
	funcType := wasmtime.NewFuncType(nil, nil)
	wasm, err := wasmtime.Wat2Wasm(`(module (memory (export "m") 1) (func (export "f")))`)
	if err != nil {
		t.Fatal(err)
	}
	module, err := wasmtime.NewModule(engine, wasm)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		object  any
		pointer unsafe.Pointer
		get     any
	}{
		{config, unsafe.Pointer(configOf(config)), configOf},
		{module, unsafe.Pointer(moduleOf(module)), moduleOf},
		{linker, unsafe.Pointer(linkerOf(linker)), linkerOf},
		{funcType, unsafe.Pointer(funcTypeOf(funcType)), funcTypeOf},
	} {
		object := reflect.ValueOf(c.object).Elem()
		owned := object.FieldByName("_ptr")
		if !owned.IsValid() || owned.Kind() != reflect.Pointer {
			t.Errorf("%s has no pointer _ptr", object.Type())
			continue
		}
		if owned.UnsafePointer() != c.pointer || c.pointer == nil {
			t.Errorf("%s owns %v, but %v was found", object.Type(), owned.UnsafePointer(), c.pointer)
		}
		if have, want := reflect.TypeOf(c.get).Out(0).Elem().Name(), owned.Type().Elem().Name(); have != want {
			t.Errorf("%s owns a %s, but a %s was found", object.Type(), want, have)
		}
	}

	for _, c := range []struct{ theirs, ours any }{
		{(*wasmtime.Store).Context, contextOf},
		{(*wasmtime.Func).AsExtern, externOf},
		{(*wasmtime.Extern).AsExtern, externOf},
	} {
		theirs, ours := reflect.TypeOf(c.theirs).Out(0), reflect.TypeOf(c.ours).Out(0)
		if theirs.Kind() == reflect.Pointer && ours.Kind() == reflect.Pointer {
			theirs, ours = theirs.Elem(), ours.Elem()
		}
		if theirs.Name() != ours.Name() || theirs.Size() != ours.Size() {
			t.Errorf("%s is taken for %s", theirs, ours)
		}
	}

	store := wasmtime.NewStore(engine)
	instance, err := wasmtime.NewInstance(store, module, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, m := instance.GetExport(store, "f"), instance.GetExport(store, "m")
	if funcOf(f).store_id == 0 || memoryOf(m).anon0.store_id != funcOf(f).store_id {
		t.Error("a function and a memory of a store are not of the same store")
	}
	for name, take := range map[string]func(){"memory": func() { funcOf(m) }, "function": func() { memoryOf(f) }} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a %s was taken for something else", name)
				}
			}()
			take()
		}()
	}
}
