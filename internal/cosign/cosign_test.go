package cosign

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
)

const digest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

func newKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func pemOf(t *testing.T, kind string) func(der []byte, err error) []byte {
	return func(der []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
}

func noPassword() ([]byte, error) { return nil, errors.New("asked for a password") }

func TestSignatures(t *testing.T) {
	key, other := newKey(t, elliptic.P256()), newKey(t, elliptic.P256())
	payload := Payload("registry.example/a", digest)
	text, err := Sign(key, payload)
	if err != nil {
		t.Fatal(err)
	}
	if !Verify([]*ecdsa.PublicKey{&other.PublicKey, &key.PublicKey}, payload, text) {
		t.Error("a signature does not count")
	}
	for name, ok := range map[string]bool{
		"another key":     Verify([]*ecdsa.PublicKey{&other.PublicKey}, payload, text),
		"no key":          Verify(nil, payload, text),
		"another payload": Verify([]*ecdsa.PublicKey{&key.PublicKey}, Payload("registry.example/a", digest[:70]+"b"), text),
		"no base64":       Verify([]*ecdsa.PublicKey{&key.PublicKey}, payload, "?"+text),
		"nothing":         Verify([]*ecdsa.PublicKey{&key.PublicKey}, payload, ""),
		"rubbish":         Verify([]*ecdsa.PublicKey{&key.PublicKey}, payload, base64.StdEncoding.EncodeToString([]byte("rubbish"))),
	} {
		if ok {
			t.Errorf("%s: it counts", name)
		}
	}
}

// What is signed is for one manifest, whatever else it says.
func TestPayload(t *testing.T) {
	good := string(Payload("registry.example/a", digest))
	// As cosign writes it (sigstore's pkg/signature/payload).
	if want := `{"critical":{"identity":{"docker-reference":"registry.example/a"},"image":{"docker-manifest-digest":"` + digest + `"},"type":"cosign container image signature"},"optional":null}`; good != want {
		t.Errorf("%s\nwant\n%s", good, want)
	}
	for _, text := range []string{good, strings.Replace(good, "null", `{"by":"us"}`, 1), strings.Replace(good, "registry.example/a", "mirror.example/b", 1)} {
		if err := Names([]byte(text), digest); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{
		"", "{}", "null", good[:len(good)-1], strings.Replace(good, "container image", "blob", 1), strings.Replace(good, "aaaa\"}", "aaab\"}", 1),
	} {
		if Names([]byte(text), digest) == nil {
			t.Errorf("%s: no error", text)
		}
	}
}

func TestKeys(t *testing.T) {
	key, large := newKey(t, elliptic.P256()), newKey(t, elliptic.P384())
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public := pemOf(t, "PUBLIC KEY")(x509.MarshalPKIXPublicKey(&key.PublicKey))
	pkcs8 := pemOf(t, "PRIVATE KEY")(x509.MarshalPKCS8PrivateKey(key))
	sec1 := pemOf(t, "EC PRIVATE KEY")(x509.MarshalECPrivateKey(key))
	if got, err := PublicKey(public); err != nil || !got.Equal(&key.PublicKey) {
		t.Error(err)
	}
	for _, text := range [][]byte{pkcs8, sec1} {
		if got, err := PrivateKey(text, noPassword); err != nil || !got.Equal(key) {
			t.Error(err)
		}
	}
	for text, want := range map[string]string{
		"": "no PEM", "rubbish": "no PEM", string(pkcs8): "private key: give the public", string(sec1): "private key",
		string(pemOf(t, "PUBLIC KEY")([]byte("x"), nil)):                            "asn1",
		string(pemOf(t, "CERTIFICATE")([]byte("x"), nil)):                           `"CERTIFICATE"`,
		string(pemOf(t, "PUBLIC KEY")(x509.MarshalPKIXPublicKey(&large.PublicKey))): "P-256",
		string(pemOf(t, "PUBLIC KEY")(x509.MarshalPKIXPublicKey(edwards.Public()))): "P-256",
		string(pemOf(t, "ENCRYPTED SIGSTORE PRIVATE KEY")([]byte("x"), nil)):        "private key",
	} {
		if _, err := PublicKey([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	for text, want := range map[string]string{
		"": "no PEM", string(public): "public key: give the private",
		string(pemOf(t, "PRIVATE KEY")([]byte("x"), nil)):                     "asn1",
		string(pemOf(t, "CERTIFICATE")([]byte("x"), nil)):                     `"CERTIFICATE"`,
		string(pemOf(t, "PRIVATE KEY")(x509.MarshalPKCS8PrivateKey(large))):   "P-256",
		string(pemOf(t, "PRIVATE KEY")(x509.MarshalPKCS8PrivateKey(edwards))): "P-256",
		string(pemOf(t, "ENCRYPTED SIGSTORE PRIVATE KEY")([]byte("x"), nil)):  "asked for a password",
	} {
		if _, err := PrivateKey([]byte(text), noPassword); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
