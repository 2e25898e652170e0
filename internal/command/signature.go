package command

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/cosign"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/registry"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/regular"
)

// passwordVariable has the password of a private key, as for cosign.
const passwordVariable = "COSIGN_PASSWORD"

const (
	signatureSuffix   = ".sig"
	maxSignatureBytes = 16 << 10
)

func newSign() *cobra.Command {
	var f registryFlags
	var keyFile, out string
	cmd := &cobra.Command{
		Use:   "sign {REF | FILE} --key KEY",
		Short: "Sign a module",
		Long: `Sign a module in a registry, or a file. KEY is a private key as cosign generate-key-pair
makes one, or one of ECDSA on P-256 in PEM. The password of one that is encrypted is in the
variable COSIGN_PASSWORD, or asked for.

A signature in a registry stands next to the module, where cosign verify --key looks for it
(with --insecure-ignore-tlog: nothing is written to a transparency log). That of a file is
written to FILE.sig, for cosign verify-blob. An argument is a file if it has no slash, or
begins with one or a dot, or ends in .wasm, .cwasm or .wat; oci:// before it makes it a REF.

` + loginText,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("sign takes one module: flb-wasmtime sign registry.example/redact:1.0.0 --key cosign.key")
			}
			if keyFile == "" {
				return errors.New("--key is not given: name the file of a private key (cosign generate-key-pair makes one)")
			}
			if isFile(args[0]) {
				return signFile(cmd, args[0], out, keyFile)
			}
			if out != "" {
				return errors.New("--output is for the signature of a file: that of a module in a registry is kept there")
			}
			key, err := readPrivateKey(cmd, keyFile)
			if err != nil {
				return err
			}
			r, err := f.open(cmd, args[0])
			if err != nil {
				return err
			}
			defer r.close()
			artifact, err := r.resolve()
			if err != nil {
				return failed(cmd, err)
			}
			err = r.checkSignatures(artifact, []*ecdsa.PublicKey{&key.PublicKey})
			if _, not := err.(*unsignedError); not {
				payload := cosign.Payload(r.reference.Repository(), artifact.Digest)
				var text string
				if text, err = cosign.Sign(key, payload); err != nil {
					return err
				}
				err = r.client.AddSignature(r.ctx, artifact, registry.Signature{Payload: payload, Text: text})
			}
			if err != nil {
				return failed(cmd, err)
			}
			return write(cmd.OutOrStdout(), fmt.Appendln(nil, r.reference.At(artifact)))
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&keyFile, "key", "", "File of the private key")
	flags.StringVarP(&out, "output", "o", "", "File to write the signature of a file to (default: FILE"+signatureSuffix+")")
	f.add(cmd)
	completeFiles(cmd, "key", ".key", ".pem")
	cmd.ValidArgsFunction = completeModule
	return cmd
}

func newVerify() *cobra.Command {
	var f registryFlags
	var keyFiles []string
	var signature string
	cmd := &cobra.Command{
		Use:   "verify {REF | FILE} --key KEY",
		Short: "Check who has signed a module",
		Long: `Say whether a module in a registry, or a file, is signed by a key: cosign.pub, or the
public key of ECDSA on P-256 in PEM. With several keys one is enough. What is printed of a
module in a registry is its reference by the digest that is signed: use that from then on,
for a tag may mean another module later.

The exit code is 0 if it is signed, and 1 if it is not. Neither certificates nor a
transparency log are looked at: what is known is that who has the private key has signed.

` + loginText,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("verify takes one module: flb-wasmtime verify registry.example/redact:1.0.0 --key cosign.pub")
			}
			if len(keyFiles) == 0 {
				return errors.New("--key is not given: name the file of a public key")
			}
			keys, err := readPublicKeys("--key", keyFiles)
			if err != nil {
				return err
			}
			if isFile(args[0]) {
				return verifyFile(cmd, args[0], signature, keys)
			}
			if signature != "" {
				return errors.New("--signature is for a file: signatures of a module in a registry are kept there")
			}
			r, err := f.open(cmd, args[0])
			if err != nil {
				return err
			}
			defer r.close()
			artifact, err := r.resolve()
			if err == nil {
				err = r.checkSignatures(artifact, keys)
			}
			if err != nil {
				return failed(cmd, err)
			}
			return write(cmd.OutOrStdout(), fmt.Appendln(nil, r.reference.At(artifact)))
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVar(&keyFiles, "key", nil, "File of a public key; may be given several times")
	flags.StringVar(&signature, "signature", "", "File that has the signature of a file (default: FILE"+signatureSuffix+")")
	f.add(cmd)
	completeFiles(cmd, "key", ".pub", ".pem")
	completeFiles(cmd, "signature", signatureSuffix)
	cmd.ValidArgsFunction = completeModule
	return cmd
}

// isFile says whether an argument names a file, not a module in a registry.
func isFile(arg string) bool {
	if strings.HasPrefix(arg, "oci://") {
		return false
	}
	for _, suffix := range moduleSuffixes {
		if strings.HasSuffix(arg, suffix) {
			return true
		}
	}
	return !strings.Contains(arg, "/") || strings.HasPrefix(arg, "/") || strings.HasPrefix(arg, ".")
}

// unsignedError says that a module has no signature that counts.
type unsignedError struct{ text string }

func (e *unsignedError) Error() string { return e.text }

// checkSignatures returns an *unsignedError unless one of the keys has signed an artifact.
func (r *remote) checkSignatures(a registry.Artifact, keys []*ecdsa.PublicKey) error {
	signatures, err := r.client.Signatures(r.ctx, a)
	if err != nil {
		return err
	}
	for _, s := range signatures {
		if cosign.Verify(keys, s.Payload, s.Text) && cosign.Names(s.Payload, a.Digest) == nil {
			return nil
		}
	}
	what := "it has no signature"
	if n := len(signatures); n > 0 {
		what = fmt.Sprintf("of its %d signatures none is by the key that is given", n)
	}
	return &unsignedError{fmt.Sprintf("%s is not signed as asked for: %s", r.reference.At(a), what)}
}

func sumOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

func signFile(cmd *cobra.Command, path, out, keyFile string) error {
	content, err := readModule(path)
	if err != nil {
		return err
	}
	key, err := readPrivateKey(cmd, keyFile)
	if err != nil {
		return err
	}
	text, err := cosign.Sign(key, content)
	if err != nil {
		return err
	}
	if out == "" {
		out = path + signatureSuffix
	}
	if err := regular.Replace(out, []byte(text+"\n")); err != nil {
		return err
	}
	return write(cmd.OutOrStdout(), fmt.Appendf(nil, "%s: signature of %s, sha256:%s\n", out, path, sumOf(content)))
}

func verifyFile(cmd *cobra.Command, path, signature string, keys []*ecdsa.PublicKey) error {
	content, err := readModule(path)
	if err != nil {
		return err
	}
	if signature == "" {
		signature = path + signatureSuffix
	}
	text, err := regular.Read(signature, maxSignatureBytes)
	if err != nil {
		return fmt.Errorf("can't read the signature: %w", err)
	}
	if !cosign.Verify(keys, content, strings.TrimSpace(string(text))) {
		return failed(cmd, fmt.Errorf("%s: %s is not a signature of it by the key that is given", path, signature))
	}
	return write(cmd.OutOrStdout(), fmt.Appendf(nil, "%s: signed, sha256:%s\n", path, sumOf(content)))
}

func readPublicKeys(flag string, paths []string) ([]*ecdsa.PublicKey, error) {
	var keys []*ecdsa.PublicKey
	for _, path := range paths {
		text, err := regular.Read(path, maxPEMBytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", flag, err)
		}
		key, err := cosign.PublicKey(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", flag, path, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func readPrivateKey(cmd *cobra.Command, path string) (*ecdsa.PrivateKey, error) {
	text, err := regular.Read(path, maxPEMBytes)
	if err != nil {
		return nil, fmt.Errorf("--key: %w", err)
	}
	key, err := cosign.PrivateKey(text, func() ([]byte, error) { return keyPassword(cmd) })
	if err != nil {
		return nil, fmt.Errorf("--key: %s: %w", path, err)
	}
	return key, nil
}

// keyPassword is that of a private key.
func keyPassword(cmd *cobra.Command) ([]byte, error) {
	if password, ok := os.LookupEnv(passwordVariable); ok {
		return []byte(password), nil
	}
	stdin, ok := cmd.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(int(stdin.Fd())) {
		return nil, errors.New("it is encrypted: set " + passwordVariable + " to its password")
	}
	fmt.Fprint(cmd.ErrOrStderr(), "Password of the private key: ")
	defer fmt.Fprintln(cmd.ErrOrStderr())
	return term.ReadPassword(int(stdin.Fd()))
}
