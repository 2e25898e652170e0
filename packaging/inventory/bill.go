package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

const project = "fluent-bit-wasmtime"

// notices is the file of licences: which component has which, then each text once.
func (b *bill) notices(all texts) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "What is linked into %s %s, which itself has the Apache License 2.0.\n", project, b.version)
	users := map[string][]string{}
	for _, part := range []struct {
		title      string
		components []*component
	}{{"Go modules", b.goModules}, {"Rust crates, of " + b.engine, b.crates}} {
		fmt.Fprintf(&out, "\n%s\n\n", part.title)
		for _, c := range part.components {
			name := c.Name + " " + c.Version
			if c.Name == "std" {
				name = "standard library " + c.Version
			}
			fmt.Fprintf(&out, "  %-58s %s\n", name, c.License)
			for _, key := range c.Texts {
				users[key] = append(users[key], name)
			}
			if len(c.Texts) == 0 {
				fmt.Fprintf(&out, "  %-58s (has no text of it)\n", "")
			}
		}
	}
	keys := slices.Collect(maps.Keys(users))
	// The texts in the order of their first component, which is stable.
	slices.SortFunc(keys, func(a, b string) int { return strings.Compare(users[a][0]+a, users[b][0]+b) })
	for _, key := range keys {
		fmt.Fprintf(&out, "\n%s\n\nThe text in %s:\n\n%s", strings.Repeat("-", 80), strings.Join(users[key], ", "), all[key])
	}
	return out.Bytes()
}

// The parts of CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/) that are written.
type cdxBOM struct {
	Format       string          `json:"bomFormat"`
	SpecVersion  string          `json:"specVersion"`
	SerialNumber string          `json:"serialNumber"`
	Version      int             `json:"version"`
	Metadata     cdxMetadata     `json:"metadata"`
	Components   []cdxComponent  `json:"components"`
	Dependencies []cdxDependency `json:"dependencies"`
}

type cdxMetadata struct {
	Timestamp string       `json:"timestamp"`
	Component cdxComponent `json:"component"`
}

type cdxComponent struct {
	Ref      string       `json:"bom-ref"`
	Type     string       `json:"type"`
	Name     string       `json:"name"`
	Version  string       `json:"version,omitempty"`
	Hashes   []cdxHash    `json:"hashes,omitempty"`
	Licenses []cdxLicense `json:"licenses,omitempty"`
	PURL     string       `json:"purl,omitempty"`
}

type cdxHash struct {
	Alg     string `json:"alg"`
	Content string `json:"content"`
}

type cdxLicense struct {
	Expression string `json:"expression"`
}

type cdxDependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn"`
}

// cycloneDX is the bill as its readers want it: the files, and what each is linked from.
func (b *bill) cycloneDX() ([]byte, error) {
	root := cdxComponent{
		Ref: project, Type: "application", Name: project, Version: b.version,
		Licenses: []cdxLicense{{"Apache-2.0"}},
		PURL:     "pkg:golang/github.com/" + project + "/" + project + "@v" + b.version,
	}
	bom := cdxBOM{
		Format: "CycloneDX", SpecVersion: "1.6", Version: 1,
		Metadata: cdxMetadata{Timestamp: b.date.Format(time.RFC3339), Component: root},
	}
	whole := cdxDependency{Ref: project}
	identity := sha256.New()
	for _, f := range b.files {
		ref := "file:" + f.name
		bom.Components = append(bom.Components, cdxComponent{
			Ref: ref, Type: "file", Name: f.name, Version: b.version,
			Hashes:   []cdxHash{{"SHA-256", f.sha256}},
			Licenses: []cdxLicense{{"Apache-2.0"}},
		})
		whole.DependsOn = append(whole.DependsOn, ref)
		fmt.Fprintln(identity, f.name, f.sha256)
	}
	bom.Dependencies = append(bom.Dependencies, whole)
	depends := map[string][]string{}
	for _, c := range slices.Concat(b.goModules, b.crates) {
		part := cdxComponent{
			Ref: c.purl, Type: "library", Name: c.Name, Version: c.Version,
			Licenses: []cdxLicense{{c.License}}, PURL: c.purl,
		}
		if c.Checksum != "" {
			part.Hashes = []cdxHash{{"SHA-256", c.Checksum}}
		}
		bom.Components = append(bom.Components, part)
		for name := range c.in {
			depends[name] = append(depends[name], c.purl)
		}
	}
	for _, f := range b.files {
		bom.Dependencies = append(bom.Dependencies, cdxDependency{"file:" + f.name, depends[f.name]})
	}
	// A UUID (version 8 of RFC 9562) of what it is about, so that one release has one.
	id := identity.Sum(nil)[:16]
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	bom.SerialNumber = fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])

	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(bom); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
