package command

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bytecodealliance/wasmtime-go/v44"
	"github.com/secure-systems-lab/go-securesystemslib/encrypted"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/guests"
)

// What needs a registry is in test/registry.

// binaryFile writes a guest as a binary module and returns its path.
func binaryFile(t *testing.T, name string) string {
	t.Helper()
	wasm, err := wasmtime.Wat2Wasm(guests.WAT(name))
	if err != nil {
		t.Fatal(err)
	}
	return writeFile(t, name+".wasm", string(wasm))
}

func TestAnnotateAndInspect(t *testing.T) {
	module := binaryFile(t, "identity")
	before := runMain("", "inspect", module)
	if before.code != 0 || strings.Contains(before.stdout, "says") {
		t.Fatalf("%+v", before)
	}
	got := runMain("", "annotate", module, "source=https://git.example/x?a=b", "version=1")
	if got.code != 0 || got.stderr != "" {
		t.Fatalf("%+v", got)
	}
	content, err := os.ReadFile(module)
	if err != nil {
		t.Fatal(err)
	}
	sum := fmt.Sprintf("%x", sha256.Sum256(content))
	if got.stdout != module+": sha256:"+sum+"\n" {
		t.Errorf("%q", got.stdout)
	}
	info, err := os.Stat(module)
	if err != nil {
		t.Fatal(err)
	}
	if got := runMain("", "annotate", module, "version=1"); got.code != 0 {
		t.Errorf("%+v", got)
	}
	if later, err := os.Stat(module); err != nil || !os.SameFile(info, later) {
		t.Errorf("what is said already is written again: %v", err)
	}
	got = runMain("", "inspect", module)
	for _, line := range []string{"sha256         " + sum, "ABI            flb_filter", "says           source=https://git.example/x?a=b", "               version=1"} {
		if !strings.Contains(got.stdout, line+"\n") {
			t.Errorf("%q is not in\n%s", line, got.stdout)
		}
	}
	var object struct {
		SHA256 string
		ABI    string
		About  map[string]string
	}
	if got := runMain("", "inspect", "--json", module); json.Unmarshal([]byte(got.stdout), &object) != nil || object.SHA256 != sum || object.ABI != "flb_filter" || object.About["version"] != "1" {
		t.Errorf("%+v", got)
	}
	// It runs as before, with the hash that it has now.
	if got := runMain("{}\n", "run", module, "--wasm-sha256", sum); got.code != 0 {
		t.Errorf("%+v", got)
	}
	other := filepath.Join(t.TempDir(), "other.wasm")
	if got := runMain("", "annotate", module, "source=", "version=", "-o", other); got.code != 0 {
		t.Errorf("%+v", got)
	}
	if after := runMain("", "inspect", other); strings.Replace(after.stdout, other, module, 1) != before.stdout {
		t.Errorf("%s\nwas\n%s", after.stdout, before.stdout)
	}
}

// A module with another hash is refused by all that load one.
func TestWasmSHA256(t *testing.T) {
	module := binaryFile(t, "identity")
	wrong := strings.Repeat("0", 64)
	out := filepath.Join(t.TempDir(), "x.cwasm")
	config := writeFile(t, "fluent-bit.conf", "[FILTER]\n  Name wasmtime\n  Match *\n  wasm_path "+module+"\n  function_name filter\n  wasm_sha256 "+wrong+"\n")
	for _, args := range [][]string{
		{"run", module, "--wasm-sha256", wrong}, {"check", module, "--wasm-sha256", wrong}, {"bench", module, "--records", "1", "--wasm-sha256", wrong},
		{"compile", module, "-o", out, "--wasm-sha256", wrong}, {"run", "--config", config}, {"check", "--config", config},
	} {
		if got := runMain("{}\n", args...); got.code == 0 || !strings.Contains(got.stderr, "wasm_sha256 asks for "+wrong) {
			t.Errorf("%v: %+v", args, got)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("another module has been compiled")
	}
}

func TestSealedKey(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if der, err = encrypted.Encrypt(der, []byte("secret")); err != nil {
		t.Fatal(err)
	}
	private := writeFile(t, "k.key", string(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED SIGSTORE PRIVATE KEY", Bytes: der})))
	if der, err = x509.MarshalPKIXPublicKey(&key.PublicKey); err != nil {
		t.Fatal(err)
	}
	public := writeFile(t, "k.pub", string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
	module := binaryFile(t, "identity")
	if got := runMain("secret\n", "sign", module, "--key", private); got.code != exitUsage || !strings.Contains(got.stderr, "set COSIGN_PASSWORD") {
		t.Errorf("no password: %+v", got)
	}
	t.Setenv("COSIGN_PASSWORD", "wrong")
	if got := runMain("", "sign", module, "--key", private); got.code != exitUsage || !strings.Contains(got.stderr, "password is wrong") || strings.Contains(got.stderr, "wrong\"") {
		t.Errorf("a wrong password: %+v", got)
	}
	if _, err := os.Stat(module + ".sig"); err == nil {
		t.Error("something is signed")
	}
	t.Setenv("COSIGN_PASSWORD", "secret")
	if got := runMain("", "sign", module, "--key", private); got.code != exitOK {
		t.Errorf("%+v", got)
	}
	if got := runMain("", "verify", module, "--key", public); got.code != exitOK {
		t.Errorf("%+v", got)
	}
}

func TestRegistryMistakes(t *testing.T) {
	module := binaryFile(t, "identity")
	key := writeFile(t, "k.pem", "rubbish")
	for _, test := range []struct {
		want string
		args []string
	}{
		{"push takes a module and where it goes", []string{"push", module}},
		{"does not name a module in a registry", []string{"push", module, "redact"}},
		{"has neither tag nor digest", []string{"push", module, "registry.example/redact"}},
		{"is not KEY=VALUE", []string{"push", module, "registry.example/redact:1", "--annotation", "x"}},
		{"can't read the module", []string{"push", "/no/such.wasm", "registry.example/redact:1"}},
		{"pull takes a reference", []string{"pull"}},
		{"has neither tag nor digest", []string{"pull", "./redact.wasm"}},
		{"holds no PEM", []string{"pull", "registry.example/redact:1", "--verify-key", key}},
		{"--max-time 0s", []string{"pull", "registry.example/redact:1", "--max-time", "0"}},
		{"--ca-file", []string{"pull", "registry.example/redact:1", "--ca-file", "/no/such.pem"}},
		{"holds none of PEM", []string{"pull", "registry.example/redact:1", "--ca-file", key}},
		{"given together", []string{"inspect", "registry.example/redact:1", "--username", "u"}},
		{"--key is not given", []string{"sign", module}},
		{"--key is not given", []string{"verify", "registry.example/redact:1"}},
		{"--signature is for a file", []string{"verify", "registry.example/redact:1", "--signature", "x", "--key", writePublicKey(t)}},
		{"--output is for the signature of a file", []string{"sign", "registry.example/redact:1", "-o", "x", "--key", key}},
		{"annotate takes a module", []string{"annotate", module}},
		{`"A" is not a key`, []string{"annotate", module, "A=b"}},
		{"annotate: \"x\" is not KEY=VALUE", []string{"annotate", module, "x"}},
	} {
		if got := runMain("", test.args...); got.code != exitUsage || got.stdout != "" || !strings.Contains(got.stderr, test.want) {
			t.Errorf("%v: want %q: %+v", test.args, test.want, got)
		}
	}
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	if got := runMain("", "push", module, "registry.example/redact:1"); got.code != exitUsage || !strings.Contains(got.stderr, "SOURCE_DATE_EPOCH") {
		t.Errorf("%+v", got)
	}
}

func writePublicKey(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return writeFile(t, "k.pub", string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
}

func TestFilesAndReferences(t *testing.T) {
	for arg, want := range map[string]bool{
		"redact.wasm": true, "redact": true, "./a": true, "../a/b": true, "/a/b": true, "dir/redact.wasm": true, "dir/x.cwasm": true,
		"registry.example/redact:1": false, "localhost:5000/redact.wasm:1": false, "oci://registry.example/redact.wasm": false,
	} {
		if isFile(arg) != want {
			t.Errorf("%s: %v", arg, !want)
		}
	}
}
