package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"
)

// Signatures are where cosign has them: each is a layer, with the signature in an annotation, of the
// manifest that has the tag sha256-DIGEST.sig.
const (
	signedType          = "application/vnd.dev.cosign.simplesigning.v1+json"
	signatureAnnotation = "dev.cosignproject.cosign/signature"
)

// What is read of signatures of one manifest.
const (
	maxSignatures   = 100
	maxPayloadBytes = 64 << 10
)

// Signature is one by whoever: nothing of it has been checked but that the payload has arrived whole.
type Signature struct {
	Payload []byte
	Text    string
}

// signatures is the reference of an artifact's signatures.
func (r Reference) signatures(a Artifact) Reference {
	r.ref.Reference = strings.Replace(a.Digest, ":", "-", 1) + ".sig"
	return r
}

// Signatures returns those of an artifact; none are no error.
func (c *Client) Signatures(ctx context.Context, a Artifact) ([]Signature, error) {
	r := c.ref.signatures(a)
	_, manifest, err := c.manifest(ctx, r)
	if errors.Is(err, errdef.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, c.explain(r, err)
	}
	var list []Signature
	for _, layer := range manifest.Layers {
		text := layer.Annotations[signatureAnnotation]
		if layer.MediaType != signedType || text == "" {
			continue
		}
		if len(list) == maxSignatures {
			return nil, fmt.Errorf("%s: there are more than %d signatures", r, maxSignatures)
		}
		if layer.Size <= 0 || layer.Size > maxPayloadBytes {
			return nil, fmt.Errorf("%s: a signature is of %d bytes: 1 to %d are allowed", r, layer.Size, maxPayloadBytes)
		}
		var payload bytes.Buffer
		if err := c.fetch(ctx, layer, &payload); err != nil {
			return nil, c.explain(r, err)
		}
		list = append(list, Signature{payload.Bytes(), text})
	}
	return list, nil
}

// AddSignature adds a signature to those of an artifact. Of two that are added at once one may be lost,
// as with cosign.
func (c *Client) AddSignature(ctx context.Context, a Artifact, s Signature) error {
	r := c.ref.signatures(a)
	_, manifest, err := c.manifest(ctx, r)
	if errors.Is(err, errdef.ErrNotFound) {
		manifest, err = ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest}, nil
	}
	if err != nil {
		return c.explain(r, err)
	}
	layer := descriptor(signedType, s.Payload)
	layer.Annotations = map[string]string{signatureAnnotation: s.Text}
	manifest.Layers = append(slices.Clone(manifest.Layers), layer)
	// The config of an image, as cosign has it: some registries take nothing else.
	image := ocispec.Image{RootFS: ocispec.RootFS{Type: "layers"}}
	for _, l := range manifest.Layers {
		image.RootFS.DiffIDs = append(image.RootFS.DiffIDs, l.Digest)
	}
	conf, err := json.Marshal(image)
	if err != nil {
		return err
	}
	manifest.Config = descriptor(ocispec.MediaTypeImageConfig, conf)
	_, err = c.push(ctx, r, manifest, conf, s.Payload)
	return c.explain(r, err)
}
