package command

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/guest"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/registry"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/regular"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/version"
)

// Bounds of what is read next to modules.
const (
	maxPasswordBytes = 64 << 10
	maxPEMBytes      = 16 << 20
)

// registryFlags say how a registry is spoken to.
type registryFlags struct {
	username      string
	passwordStdin bool
	plainHTTP     bool
	insecure      bool
	caFile        string
	maxTime       time.Duration
}

const loginText = `Who may do that is known from docker login or podman login (config.json, and credential
helpers), or from --username and --password-stdin. HTTPS_PROXY and NO_PROXY are followed.`

func (f *registryFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.username, "username", "", "User of the registry, with --password-stdin (default: who is logged in)")
	flags.BoolVar(&f.passwordStdin, "password-stdin", false, "Read the password from standard input")
	flags.StringVar(&f.caFile, "ca-file", "", "File of PEM certificates of authorities that are trusted besides the system's")
	flags.BoolVar(&f.insecure, "insecure", false, "Don't check the registry's certificate")
	flags.BoolVar(&f.plainHTTP, "plain-http", false, "Speak HTTP, not HTTPS")
	flags.DurationVar(&f.maxTime, "max-time", 5*time.Minute, "Max time for all of it")
	completeFiles(cmd, "ca-file")
}

// remote is a module in a registry, or the place of one.
type remote struct {
	reference registry.Reference
	client    *registry.Client
	ctx       context.Context // ends with the time that there is, or with a signal to end
	close     func()
}

// open reads a reference, and connects to nothing yet.
func (f *registryFlags) open(cmd *cobra.Command, text string) (*remote, error) {
	reference, err := registry.ParseReference(text)
	if err != nil {
		return nil, err
	}
	config := registry.Config{PlainHTTP: f.plainHTTP, Insecure: f.insecure, Username: f.username, UserAgent: "flb-wasmtime/" + version.Version}
	switch {
	case f.passwordStdin != (f.username != ""):
		return nil, errors.New("--username and --password-stdin are given together, or none of them")
	case f.maxTime <= 0:
		return nil, fmt.Errorf("--max-time %v: it must be more than 0", f.maxTime)
	}
	if f.passwordStdin {
		password, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxPasswordBytes))
		if err != nil {
			return nil, fmt.Errorf("--password-stdin: %w", err)
		}
		config.Password = strings.TrimRight(string(password), "\r\n")
		if config.Password == "" {
			return nil, errors.New("--password-stdin: standard input is empty")
		}
	}
	if f.caFile != "" {
		if config.CA, err = regular.Read(f.caFile, maxPEMBytes); err != nil {
			return nil, fmt.Errorf("--ca-file: %w", err)
		}
	}
	client, err := registry.New(reference, config)
	if err != nil {
		return nil, err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, f.maxTime)
	return &remote{reference, client, ctx, func() { cancel(); stop() }}, nil
}

// resolve asks the registry what stands at the reference.
func (r *remote) resolve() (registry.Artifact, error) {
	return r.client.Resolve(r.ctx, guest.MaxModuleBytes)
}

// failed says what a registry has not done, or what is wrong with what has come from it.
func failed(cmd *cobra.Command, err error) error {
	say(cmd.ErrOrStderr(), "%v", err)
	if errors.Is(err, registry.ErrUnavailable) {
		return errUnavailable
	}
	return errFailed
}

func newPush() *cobra.Command {
	var f registryFlags
	var annotations []string
	cmd := &cobra.Command{
		Use:   "push FILE REF",
		Short: "Put a module into a registry",
		Long: `Put a module into an OCI registry, where images are kept, too, under a tag: REF is
HOST[:PORT]/NAME:TAG. What is printed is the reference by its digest, which stands for
this module for ever, whatever becomes of the tag.

What the module says of itself (see inspect) becomes annotations, and so does what is
given by --annotation KEY=VALUE. The same module has the same digest each time: as the
time that it was made 1970 is written, or that of the variable SOURCE_DATE_EPOCH.

` + loginText,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return errors.New("push takes a module and where it goes: flb-wasmtime push redact.wasm registry.example/redact:1.0.0")
			}
			r, err := f.open(cmd, args[1])
			if err != nil {
				return err
			}
			defer r.close()
			if r.reference.IsDigest() {
				return fmt.Errorf("%s has a digest: give a tag; what the digest is comes out", r.reference)
			}
			module, err := readModule(args[0])
			if err != nil {
				return err
			}
			if err := guest.CheckModule(args[0], module); err != nil {
				return err
			}
			all, err := annotate(args[0], module, annotations)
			if err != nil {
				return err
			}
			created, err := sourceDate()
			if err != nil {
				return err
			}
			artifact, err := r.client.Push(r.ctx, module, all, created)
			if err != nil {
				return failed(cmd, err)
			}
			return write(cmd.OutOrStdout(), fmt.Appendln(nil, r.reference.At(artifact)))
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVar(&annotations, "annotation", nil, "Add `KEY=VALUE` to the manifest; may be given several times")
	f.add(cmd)
	cmd.ValidArgsFunction = completeModule
	return cmd
}

// readModule reads a module's file as it is.
func readModule(path string) ([]byte, error) {
	content, err := regular.Read(path, guest.MaxModuleBytes)
	if err != nil {
		return nil, fmt.Errorf("can't read the module: %w", err)
	}
	return content, nil
}

// annotationOf are the annotations of OCI by what a module says of itself.
var annotationOf = map[string]string{
	"name":        "org.opencontainers.image.title",
	"version":     "org.opencontainers.image.version",
	"description": "org.opencontainers.image.description",
	"source":      "org.opencontainers.image.source",
	"revision":    "org.opencontainers.image.revision",
	"license":     "org.opencontainers.image.licenses",
	"authors":     "org.opencontainers.image.authors",
}

// annotate makes the annotations of a module's manifest.
func annotate(path string, module []byte, given []string) (map[string]string, error) {
	d, err := guest.Describe(path, module)
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for key, value := range d.About {
		if name := annotationOf[key]; name != "" {
			all[name] = value
		}
	}
	more, err := keyValues("--annotation", given)
	maps.Copy(all, more)
	return all, err
}

// keyValues reads arguments of the form KEY=VALUE.
func keyValues(of string, list []string) (map[string]string, error) {
	all := map[string]string{}
	for _, text := range list {
		key, value, ok := strings.Cut(text, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("%s: %q is not KEY=VALUE", of, text)
		}
		all[key] = value
	}
	return all, nil
}

// sourceDate is the time that things are made, for builds that are to be the same each time.
func sourceDate() (time.Time, error) {
	const name = "SOURCE_DATE_EPOCH"
	text := os.Getenv(name)
	if text == "" {
		return time.Unix(0, 0), nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds < 0 || seconds > 253402300799 {
		return time.Time{}, fmt.Errorf("%s is %q: it must be seconds since 1970", name, text)
	}
	return time.Unix(seconds, 0), nil
}

func newPull() *cobra.Command {
	var f registryFlags
	var out string
	var keyFiles []string
	cmd := &cobra.Command{
		Use:   "pull REF [-o FILE]",
		Short: "Get a module from a registry",
		Long: `Get a module from an OCI registry and write it to a file: the whole new one takes the place
of the old one, or nothing does. REF is HOST[:PORT]/NAME@sha256:DIGEST, and then it is the
module that has been pushed and no other, or HOST[:PORT]/NAME:TAG, what that means today.

A file that is this module already is left as it is. What has been written is said in one
line on standard output: without one, nothing has changed. With --verify-key a module is
written only if it is signed by that key, or one of them.

` + loginText,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("pull takes a reference: flb-wasmtime pull registry.example/redact@sha256:DIGEST -o redact.wasm")
			}
			r, err := f.open(cmd, args[0])
			if err != nil {
				return err
			}
			defer r.close()
			keys, err := readPublicKeys("--verify-key", keyFiles)
			if err != nil {
				return err
			}
			if out == "" {
				out = r.reference.Name() + ".wasm"
			}
			artifact, written, err := r.pull(out, keys)
			if err != nil {
				return failed(cmd, err)
			}
			if !written {
				if isTerminal(cmd.ErrOrStderr()) {
					say(cmd.ErrOrStderr(), "%s is that module already", out)
				}
				return nil
			}
			return write(cmd.OutOrStdout(), fmt.Appendf(nil, "%s: sha256:%s from %s\n", out, artifact.SHA256, r.reference.At(artifact)))
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&out, "output", "o", "", "File to write (default: the name in REF with .wasm)")
	flags.StringArrayVar(&keyFiles, "verify-key", nil, "File of a public key by which the module must be signed; one of several is enough")
	f.add(cmd)
	completeFiles(cmd, "output", ".wasm")
	completeFiles(cmd, "verify-key", ".pub", ".pem")
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	return cmd
}

// pull writes a module to a file, unless it is there.
func (r *remote) pull(out string, keys []*ecdsa.PublicKey) (a registry.Artifact, written bool, err error) {
	if a, err = r.resolve(); err != nil {
		return a, false, err
	}
	if len(keys) > 0 {
		if err := r.checkSignatures(a, keys); err != nil {
			return a, false, err
		}
	}
	switch old, err := regular.Read(out, guest.MaxModuleBytes); {
	case err == nil && sumOf(old) == a.SHA256:
		return a, false, nil
	case errors.Is(err, regular.ErrNotRegular):
		return a, false, fmt.Errorf("-o: %w", err)
	case err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, regular.ErrTooLarge):
		return a, false, fmt.Errorf("-o: %w", err)
	}
	module, err := r.fetch(a)
	if err != nil {
		return a, false, err
	}
	if err := guest.CheckModule(r.reference.String(), module); err != nil {
		return a, false, err
	}
	if err := regular.Replace(out, module); err != nil {
		return a, false, fmt.Errorf("-o: %w", err)
	}
	return a, true, nil
}

// fetch reads the module of an artifact.
func (r *remote) fetch(a registry.Artifact) ([]byte, error) {
	var module bytes.Buffer
	if err := r.client.Fetch(r.ctx, a, &module); err != nil {
		return nil, err
	}
	return module.Bytes(), nil
}
