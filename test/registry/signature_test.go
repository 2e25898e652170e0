package registry

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// keys writes a pair of keys into a directory, as openssl would.
func keys(t *testing.T) (private, public string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	private, public = filepath.Join(dir, "k.key"), filepath.Join(dir, "k.pub")
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, private, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if der, err = x509.MarshalPKIXPublicKey(&key.PublicKey); err != nil {
		t.Fatal(err)
	}
	write(t, public, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	return private, public
}

// tagOf is the tag of the signatures of a manifest.
func tagOf(reference string) string {
	return strings.Replace(digestOf(reference), ":", "-", 1) + ".sig"
}

func TestSignatures(t *testing.T) {
	s := serve(t, "", "", false)
	name := s.host() + "/a"
	mine, minePublic := keys(t)
	others, othersPublic := keys(t)
	pushed := ok(t, "push", redact, name+":1")
	out := filepath.Join(t.TempDir(), "out.wasm")
	write(t, out, []byte("what was there"))

	refused(t, 1, "it has no signature", "verify", name+":1", "--key", minePublic)
	refused(t, 1, "it has no signature", "pull", name+":1", "-o", out, "--verify-key", minePublic)
	for range 2 { // the second time it is there
		if got := ok(t, "sign", name+":1", "--key", mine); got != pushed {
			t.Errorf("%q", got)
		}
	}
	if got := ok(t, "verify", name+":1", "--key", minePublic); got != pushed {
		t.Errorf("%q", got)
	}
	refused(t, 1, "of its 1 signatures none", "verify", pushed, "--key", othersPublic)
	refused(t, 1, "of its 1 signatures none", "pull", pushed, "-o", out, "--verify-key", othersPublic)
	if string(read(t, out)) != "what was there" {
		t.Error("a module that is not signed has been written")
	}
	// A key more, and any of several.
	ok(t, "sign", pushed, "--key", others)
	ok(t, "verify", pushed, "--key", othersPublic)
	ok(t, "verify", pushed, "--key", minePublic)
	if line := ok(t, "pull", pushed, "-o", out, "--verify-key", othersPublic, "--verify-key", minePublic); line == "" || !bytes.Equal(read(t, out), read(t, redact)) {
		t.Errorf("%q", line)
	}
	// As cosign lays it out.
	text := s.get(t, "a", tagOf(pushed))
	var m ocispec.Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	if len(m.Layers) != 2 || m.Config.MediaType != ocispec.MediaTypeImageConfig {
		t.Fatalf("%s", text)
	}
	for _, l := range m.Layers {
		var payload struct {
			Critical struct {
				Identity map[string]string
				Image    map[string]string
				Type     string
			}
		}
		if err := json.Unmarshal(read(t, s.blob(l.Digest.String())), &payload); err != nil {
			t.Fatal(err)
		}
		c := payload.Critical
		if l.MediaType != "application/vnd.dev.cosign.simplesigning.v1+json" || l.Annotations["dev.cosignproject.cosign/signature"] == "" ||
			c.Identity["docker-reference"] != name || c.Image["docker-manifest-digest"] != digestOf(pushed) || c.Type != "cosign container image signature" {
			t.Errorf("%+v %+v", l, c)
		}
	}

	// A tag that has moved is not signed, nor is another module with the signatures of this one.
	moved := ok(t, "push", enrich, name+":1")
	refused(t, 1, "it has no signature", "pull", name+":1", "-o", out, "--verify-key", minePublic)
	s.put(t, "a", tagOf(moved), ocispec.MediaTypeImageManifest, text)
	refused(t, 1, "of its 2 signatures none", "verify", name+":1", "--key", minePublic)
	refused(t, 1, "of its 2 signatures none", "pull", name+":1", "-o", out, "--verify-key", minePublic)
	// A signature whose text belongs to another payload.
	m.Layers[0].Annotations, m.Layers[1].Annotations = m.Layers[1].Annotations, nil
	m.Layers = m.Layers[:1]
	m.Layers[0].Annotations = map[string]string{"dev.cosignproject.cosign/signature": "bm9uc2Vuc2U="}
	swapped, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	s.put(t, "a", tagOf(pushed), ocispec.MediaTypeImageManifest, swapped)
	refused(t, 1, "of its 1 signatures none", "verify", pushed, "--key", minePublic)
	// By digest the module was signed before, and the file is it still: that a file is there is no signature.
	refused(t, 1, "of its 1 signatures none", "pull", pushed, "-o", out, "--verify-key", minePublic)

	refused(t, 2, "--key is not given", "sign", pushed)
	refused(t, 2, "public key: give the private", "sign", pushed, "--key", minePublic)
	refused(t, 2, "private key: give the public", "verify", pushed, "--key", mine)
	refused(t, 2, "no such file", "verify", pushed, "--key", out+".pub")
}

func TestSignedFiles(t *testing.T) {
	private, public := keys(t)
	_, other := keys(t)
	file := filepath.Join(t.TempDir(), "m.wasm")
	write(t, file, read(t, redact))
	refused(t, 2, "can't read the signature", "verify", file, "--key", public)
	ok(t, "sign", file, "--key", private)
	ok(t, "verify", file, "--key", public)
	refused(t, 1, "not a signature of it", "verify", file, "--key", other)
	moved := file + ".moved.sig"
	if err := os.Rename(file+".sig", moved); err != nil {
		t.Fatal(err)
	}
	ok(t, "verify", file, "--key", public, "--signature", moved)
	write(t, file, append(read(t, redact), 0))
	refused(t, 1, "not a signature of it", "verify", file, "--key", public, "--signature", moved)
}
