// Package cosign makes and checks signatures as cosign does by keys: ECDSA on P-256, of a payload that
// names the digest of a manifest, or of a file. It knows no certificates and no transparency log, and
// so needs no network.
package cosign

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
)

// payloadType is what the payload says that it is.
const payloadType = "cosign container image signature"

// payload is the JSON that is signed (Red Hat's "simple signing", as cosign writes it).
type payload struct {
	Critical struct {
		Identity struct {
			Reference string `json:"docker-reference"`
		} `json:"identity"`
		Image struct {
			Digest string `json:"docker-manifest-digest"`
		} `json:"image"`
		Type string `json:"type"`
	} `json:"critical"`
	Optional map[string]any `json:"optional"`
}

// Payload is what is signed for the manifest with that digest, in a repository.
func Payload(repository, digest string) []byte {
	var p payload
	p.Critical.Identity.Reference = repository
	p.Critical.Image.Digest = digest
	p.Critical.Type = payloadType
	text, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings alone
	}
	return text
}

// Sign signs bytes, and returns the signature as text.
func Sign(key *ecdsa.PrivateKey, signed []byte) (string, error) {
	sum := sha256.Sum256(signed)
	signature, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	return base64.StdEncoding.EncodeToString(signature), err
}

// Verify says whether one of the keys has made that signature of these bytes.
func Verify(keys []*ecdsa.PublicKey, signed []byte, signature string) bool {
	raw, err := base64.StdEncoding.DecodeString(signature)
	if err != nil {
		return false
	}
	sum := sha256.Sum256(signed)
	for _, key := range keys {
		if ecdsa.VerifyASN1(key, sum[:], raw) {
			return true
		}
	}
	return false
}

// Names says why a payload, whose signature is known to be good, is not for the manifest with that
// digest; nil if it is. Which repository it names does not count: a mirror has another.
func Names(signed []byte, digest string) error {
	var p payload
	if err := json.Unmarshal(signed, &p); err != nil {
		return fmt.Errorf("its payload can't be read: %w", err)
	}
	switch {
	case p.Critical.Type != payloadType:
		return fmt.Errorf("its payload is a %q, not a %q", p.Critical.Type, payloadType)
	case p.Critical.Image.Digest != digest:
		return fmt.Errorf("it is a signature of %q", p.Critical.Image.Digest)
	}
	return nil
}

// Kinds of PEM.
const (
	pemPublic  = "PUBLIC KEY"
	pemPKCS8   = "PRIVATE KEY"
	pemSEC1    = "EC PRIVATE KEY"
	pemSealed  = "ENCRYPTED SIGSTORE PRIVATE KEY" // by cosign generate-key-pair
	pemSealed1 = "ENCRYPTED COSIGN PRIVATE KEY"   // by cosign 1
)

var errNoPEM = errors.New("it holds no PEM: the file of a key begins with -----BEGIN")

var errKind = errors.New("it is not an ECDSA key on P-256, as cosign generate-key-pair makes")

// PublicKey reads a key of PEM.
func PublicKey(text []byte) (*ecdsa.PublicKey, error) {
	block, _ := pem.Decode(text)
	switch {
	case block == nil:
		return nil, errNoPEM
	case block.Type == pemSealed || block.Type == pemSealed1 || block.Type == pemPKCS8 || block.Type == pemSEC1:
		return nil, errors.New("it is a private key: give the public one, cosign.pub")
	case block.Type != pemPublic:
		return nil, fmt.Errorf("its PEM is a %q, not a %q", block.Type, pemPublic)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	public, ok := key.(*ecdsa.PublicKey)
	if !ok || public.Curve != elliptic.P256() {
		return nil, errKind
	}
	return public, nil
}

// PrivateKey reads a key of PEM. password is asked for one that is encrypted.
func PrivateKey(text []byte, password func() ([]byte, error)) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errNoPEM
	}
	var key any
	var err error
	der := block.Bytes
	switch block.Type {
	case pemSealed, pemSealed1:
		word, failed := password()
		if failed != nil {
			return nil, failed
		}
		if der, err = encrypted.Decrypt(der, word); err != nil {
			return nil, errors.New("it can't be decrypted: the password is wrong, or the file is damaged")
		}
		key, err = x509.ParsePKCS8PrivateKey(der)
	case pemPKCS8:
		key, err = x509.ParsePKCS8PrivateKey(der)
	case pemSEC1:
		key, err = x509.ParseECPrivateKey(der)
	case pemPublic:
		return nil, errors.New("it is a public key: give the private one, cosign.key")
	default:
		return nil, fmt.Errorf("its PEM is a %q, not a private key", block.Type)
	}
	if err != nil {
		return nil, err
	}
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok || private.Curve != elliptic.P256() {
		return nil, errKind
	}
	return private, nil
}
