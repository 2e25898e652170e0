package cosign

import (
	"crypto/ecdsa"
	"os"
	"strings"
	"testing"
)

// A key pair that cosign generate-key-pair has made (2.6.2, COSIGN_PASSWORD=secret), and signatures of cosign.
func TestKeysOfCosign(t *testing.T) {
	read := func(name string) []byte {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	public, err := PublicKey(read("cosign.pub"))
	if err != nil {
		t.Fatal(err)
	}
	private, err := PrivateKey(read("cosign.key"), func() ([]byte, error) { return []byte("secret"), nil })
	if err != nil || !private.PublicKey.Equal(public) {
		t.Fatal(err)
	}
	for _, word := range []string{"", "Secret"} {
		if _, err := PrivateKey(read("cosign.key"), func() ([]byte, error) { return []byte(word), nil }); err == nil || !strings.Contains(err.Error(), "password is wrong") {
			t.Errorf("%q: %v", word, err)
		}
	}
	keys := []*ecdsa.PublicKey{public}
	if !Verify(keys, read("blob"), string(read("blob.sig"))) {
		t.Error("cosign's signature of a file does not count")
	}
	payload := read("payload")
	if !Verify(keys, payload, string(read("payload.sig"))) {
		t.Error("cosign's signature of a manifest does not count")
	}
	const signed = "sha256:c39471862478fc25a46c402525a60a993e8cd476fd656aa7bb76c216a5165761"
	if err := Names(payload, signed); err != nil {
		t.Error(err)
	}
	if own := Payload("127.0.0.1:5055/team/redact", signed); string(own) != string(payload) {
		t.Errorf("%s\ncosign writes\n%s", own, payload)
	}
}
