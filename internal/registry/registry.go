// Package registry keeps modules in registries of the Open Container Initiative: each as an artifact of
// one layer, application/wasm, with a config as the WebAssembly working group of the CNCF lays it out.
// Nothing that a registry says is believed before its hash is checked, and all of it is bounded.
package registry

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/errcode"
	"oras.land/oras-go/v2/registry/remote/retry"
)

// Media types of an artifact that holds a module.
const (
	layerType    = "application/wasm"
	oldLayerType = "application/vnd.wasm.content.layer.v1+wasm" // of wasm-to-oci
	configType   = "application/vnd.wasm.config.v0+json"
)

const maxManifestBytes = 4 << 20

// ErrUnavailable is in errors of a registry that can't be reached, or has no time: later it may answer.
var ErrUnavailable = errors.New("the registry is not available")

// Config says how registries are spoken to. The zero value is HTTPS, with what docker login or podman
// login have left for a user.
type Config struct {
	PlainHTTP bool
	Insecure  bool   // certificates are not checked
	CA        []byte // PEM, of authorities besides the system's
	Username  string // "": what is in config.json of docker, and its helpers
	Password  string
	UserAgent string
}

// Client speaks to the registry of one reference.
type Client struct {
	ref    Reference
	remote *remote.Repository
}

// maxRetries is how often a request is sent again to a registry that is overloaded, or cuts it off. A
// variable for the tests' sake.
var maxRetries = 3

// maxRedirects is as many as net/http follows.
const maxRedirects = 10

// New makes a client for what a reference names. It opens no connection.
func New(r Reference, c Config) (*Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone() // with the proxies of the environment
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.Insecure}
	if len(c.CA) > 0 {
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool()
		}
		if !roots.AppendCertsFromPEM(c.CA) {
			return nil, errors.New("the file of certificates holds none of PEM")
		}
		transport.TLSClientConfig.RootCAs = roots
	}
	again := retry.NewTransport(transport)
	again.Policy = func() retry.Policy {
		return &retry.GenericPolicy{
			Retryable: retry.DefaultPredicate,
			Backoff:   retry.DefaultBackoff,
			MinWait:   200 * time.Millisecond,
			MaxWait:   3 * time.Second,
			MaxRetry:  maxRetries,
		}
	}
	a := &auth.Client{
		Client: &http.Client{Transport: again, CheckRedirect: func(req *http.Request, via []*http.Request) error {
			switch {
			case len(via) >= maxRedirects:
				return fmt.Errorf("it redirects more than %d times", maxRedirects)
			case req.URL.Scheme != "https" && via[0].URL.Scheme == "https":
				return fmt.Errorf("it redirects from https to %s", req.URL.Scheme)
			}
			return nil
		}},
		Cache: auth.NewCache(),
	}
	a.SetUserAgent(c.UserAgent)
	if c.Username != "" {
		a.Credential = auth.StaticCredential(r.ref.Host(), auth.Credential{Username: c.Username, Password: c.Password})
	} else {
		store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
		if err != nil {
			return nil, fmt.Errorf("docker's config.json can't be read: %w", err)
		}
		a.Credential = credentials.Credential(store)
	}
	return &Client{r, &remote.Repository{Client: a, Reference: r.ref, PlainHTTP: c.PlainHTTP, MaxMetadataBytes: maxManifestBytes}}, nil
}

// Reference names an artifact: HOST[:PORT]/NAME, and a tag or the digest of its manifest.
type Reference struct{ ref registry.Reference }

// ParseReference reads one, which may have oci:// before it. Of one with both a tag and a digest the
// digest counts.
func ParseReference(text string) (Reference, error) {
	const want = "give HOST[:PORT]/NAME:TAG or HOST[:PORT]/NAME@sha256:DIGEST"
	ref, err := registry.ParseReference(strings.TrimPrefix(text, "oci://"))
	switch {
	case err != nil:
		return Reference{}, fmt.Errorf("%q does not name a module in a registry: %s (%w)", text, want, err)
	case ref.Reference == "":
		return Reference{}, fmt.Errorf("%q has neither tag nor digest: %s", text, want)
	}
	r := Reference{ref}
	if d := r.digest(); d != "" && d.Algorithm() != digest.SHA256 {
		return Reference{}, fmt.Errorf("%q has a digest of %s: %s", text, d.Algorithm(), want)
	}
	return r, nil
}

func (r Reference) String() string { return r.ref.String() }

// IsDigest says whether it names one manifest for ever.
func (r Reference) IsDigest() bool { return r.digest() != "" }

// Name is the last part of the name.
func (r Reference) Name() string {
	return r.ref.Repository[strings.LastIndexByte(r.ref.Repository, '/')+1:]
}

// Repository is HOST[:PORT]/NAME, with the host of Docker Hub as cosign writes it.
func (r Reference) Repository() string {
	host := r.ref.Registry
	if host == "docker.io" {
		host = "index.docker.io"
	}
	return host + "/" + r.ref.Repository
}

func (r Reference) digest() digest.Digest {
	d, err := r.ref.Digest()
	if err != nil {
		return ""
	}
	return d
}

// At is the same with the digest of an artifact.
func (r Reference) At(a Artifact) Reference {
	r.ref.Reference = a.Digest
	return r
}

// Artifact is a manifest of one module.
type Artifact struct {
	Digest      string            // of the manifest
	SHA256      string            // of the module, in hexadecimal
	Bytes       int64             // of the module
	Annotations map[string]string // of the manifest

	layer ocispec.Descriptor
}

// Resolve reads the manifest that the reference names, and checks that it is one of a module with at most
// maxBytes.
func (c *Client) Resolve(ctx context.Context, maxBytes int64) (Artifact, error) {
	r := c.ref
	d, manifest, err := c.manifest(ctx, r)
	if err != nil {
		return Artifact{}, c.explain(r, err)
	}
	a := Artifact{Digest: d.Digest.String(), Annotations: manifest.Annotations}
	for _, layer := range manifest.Layers {
		if layer.MediaType != layerType && layer.MediaType != oldLayerType {
			continue
		}
		if a.layer.MediaType != "" {
			return Artifact{}, fmt.Errorf("%s has several modules: one is expected", r)
		}
		a.layer = layer
	}
	switch layer := a.layer; {
	case layer.MediaType == "":
		return Artifact{}, fmt.Errorf("%s is not a WebAssembly module: its manifest has no layer %s, but %s", r, layerType, layerTypes(manifest.Layers))
	case layer.Digest.Validate() != nil || layer.Digest.Algorithm() != digest.SHA256:
		return Artifact{}, fmt.Errorf("%s: the digest of its module is %q: it has to be one of sha256", r, layer.Digest)
	case layer.Size > maxBytes || layer.Size <= 0:
		return Artifact{}, fmt.Errorf("%s: its module has %d bytes: 1 to %d are allowed", r, layer.Size, maxBytes)
	default:
		a.SHA256, a.Bytes = layer.Digest.Encoded(), layer.Size
		return a, nil
	}
}

// layerTypes words what a manifest has, for a message.
func layerTypes(layers []ocispec.Descriptor) string {
	if len(layers) == 0 {
		return "none at all"
	}
	return fmt.Sprintf("%d of which the first is %q", len(layers), layers[0].MediaType)
}

// manifest reads a manifest whose bytes have the digest in its descriptor, which is the reference's if
// that has one: FetchReference compares the two, ReadAll the bytes.
func (c *Client) manifest(ctx context.Context, r Reference) (ocispec.Descriptor, ocispec.Manifest, error) {
	var m ocispec.Manifest
	d, body, err := c.remote.Manifests().FetchReference(ctx, r.ref.Reference)
	if err != nil {
		return d, m, err
	}
	defer body.Close()
	if d.Size > maxManifestBytes {
		return d, m, fmt.Errorf("its manifest has %d bytes: at most %d are read", d.Size, maxManifestBytes)
	}
	text, err := content.ReadAll(body, d)
	if err != nil {
		return d, m, err
	}
	switch d.MediaType {
	case ocispec.MediaTypeImageManifest:
	case ocispec.MediaTypeImageIndex, "application/vnd.docker.distribution.manifest.list.v2+json":
		return d, m, fmt.Errorf("it is an index of several manifests, not a module: give the digest of one of them")
	default:
		return d, m, fmt.Errorf("it is not a WebAssembly module: its manifest is %q", d.MediaType)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return d, m, fmt.Errorf("its manifest can't be read: %w", err)
	}
	if m.SchemaVersion != 2 || m.MediaType != "" && m.MediaType != d.MediaType {
		return d, m, fmt.Errorf("its manifest says that it is %q, version %d, and the registry that it is %q", m.MediaType, m.SchemaVersion, d.MediaType)
	}
	return d, m, nil
}

// Fetch writes the module of an artifact. What has been written is not to be used if there is an error:
// it is not the module then.
func (c *Client) Fetch(ctx context.Context, a Artifact, w io.Writer) error {
	return c.explain(c.ref, c.fetch(ctx, a.layer, w))
}

func (c *Client) fetch(ctx context.Context, d ocispec.Descriptor, w io.Writer) error {
	if err := d.Digest.Validate(); err != nil { // it becomes a part of a path
		return fmt.Errorf("the digest %q: %w", d.Digest, err)
	}
	body, err := c.remote.Blobs().Fetch(ctx, d)
	if err != nil {
		return err
	}
	defer body.Close()
	verified := content.NewVerifyReader(body, d)
	if _, err := io.Copy(w, verified); err != nil {
		return err
	}
	return verified.Verify()
}

// config is what the layout asks for. It says wasip1 of any core module.
type config struct {
	Created      time.Time `json:"created"`
	Architecture string    `json:"architecture"`
	OS           string    `json:"os"`
	LayerDigests []string  `json:"layerDigests"`
}

// Push writes a module to the registry under the reference, which has a tag. The same module with the same
// annotations and time has the same digest.
func (c *Client) Push(ctx context.Context, module []byte, annotations map[string]string, created time.Time) (Artifact, error) {
	layer := descriptor(layerType, module)
	conf, err := json.Marshal(config{created.UTC(), "wasm", "wasip1", []string{layer.Digest.String()}})
	if err != nil {
		return Artifact{}, err
	}
	manifest := ocispec.Manifest{
		Versioned:   specs.Versioned{SchemaVersion: 2},
		MediaType:   ocispec.MediaTypeImageManifest,
		Config:      descriptor(configType, conf),
		Layers:      []ocispec.Descriptor{layer},
		Annotations: annotations,
	}
	d, err := c.push(ctx, c.ref, manifest, conf, module)
	if err != nil {
		return Artifact{}, c.explain(c.ref, err)
	}
	return Artifact{Digest: d.Digest.String(), SHA256: layer.Digest.Encoded(), Bytes: layer.Size, Annotations: annotations, layer: layer}, nil
}

func descriptor(mediaType string, b []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(b), Size: int64(len(b))}
}

// push writes a manifest under the tag of a reference, with its config and those of its layers that are
// given; others are there.
func (c *Client) push(ctx context.Context, r Reference, manifest ocispec.Manifest, config []byte, layers ...[]byte) (ocispec.Descriptor, error) {
	// Both of what the token has to allow, in one.
	ctx = auth.AppendRepositoryScope(ctx, r.ref, auth.ActionPull, auth.ActionPush)
	for i, blob := range append([][]byte{config}, layers...) {
		d := manifest.Config
		if i > 0 {
			d = manifest.Layers[len(manifest.Layers)-len(layers)+i-1]
		}
		there, err := c.remote.Blobs().Exists(ctx, d)
		if err != nil {
			return d, err
		}
		if there {
			continue
		}
		if err := c.remote.Blobs().Push(ctx, d, bytes.NewReader(blob)); err != nil {
			return d, err
		}
	}
	text, err := json.Marshal(manifest)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	d := descriptor(manifest.MediaType, text)
	return d, c.remote.Manifests().PushReference(ctx, d, bytes.NewReader(text), r.ref.Reference)
}

// explain words an error for the user, with what to do.
func (c *Client) explain(r Reference, err error) error {
	if err == nil {
		return nil
	}
	host := r.ref.Registry
	var response *errcode.ErrorResponse
	var operation *net.OpError
	var name *net.DNSError
	var timeout net.Error
	var authority x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		return fmt.Errorf("%s asks for a login, and there is none for it: run docker login or podman login, or give --username and --password-stdin", host)
	case errors.As(err, &response) && (response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusForbidden):
		return fmt.Errorf("%s does not allow that (%d %s): log in with a user who may, by docker login, podman login, or --username and --password-stdin (%w)",
			host, response.StatusCode, http.StatusText(response.StatusCode), err)
	case errors.Is(err, errdef.ErrNotFound), errors.As(err, &response) && response.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%s is not there: %w", r, errdef.ErrNotFound)
	case errors.As(err, &response) && (response.StatusCode >= 500 || response.StatusCode == http.StatusTooManyRequests):
		return fmt.Errorf("%s: %w for now: %w", r, ErrUnavailable, err)
	case errors.Is(err, content.ErrMismatchedDigest), errors.Is(err, content.ErrTrailingData), strings.Contains(err.Error(), "digest mismatch"):
		return fmt.Errorf("%s: what %s sends has another digest than it should: it is damaged, or somebody has changed it (%w)", r, host, err)
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return fmt.Errorf("%s speaks HTTP: if that is meant, give --plain-http", host)
	case errors.As(err, &authority), errors.As(err, &hostname), errors.As(err, &certificate):
		return fmt.Errorf("the certificate of %s is not trusted: give --ca-file with that of its authority (%w)", host, err)
	case errors.As(err, &operation), errors.As(err, &name), errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return fmt.Errorf("%s: %w: %w", r, ErrUnavailable, err)
	}
	return fmt.Errorf("%s: %w", r, err)
}
