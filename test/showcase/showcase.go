// Package showcase says what examples/showcase makes of events, over decoded values.
package showcase

import "regexp"

// Model is the guest's README in Go, with environment "production" and the table of countries
// that is in the example.
type Model struct {
	Number  func(n int) any // how a count is decoded
	Masked  map[string]int  // addresses that have been masked, by where
	Dropped int

	counts map[string]int
}

// New makes a model that has counted nothing.
func New(number func(n int) any) *Model {
	return &Model{Number: number, Masked: map[string]int{}, counts: map[string]int{}}
}

var (
	addresses = regexp.MustCompile(`[0-9A-Za-z._%+\-[:^ascii:]]+@[0-9A-Za-z\-[:^ascii:]]+(?:\.[0-9A-Za-z\-[:^ascii:]]+)*`)
	countries = map[string]string{"192.0.2.7": "DE", "198.51.100.4": "FR", "2001:db8::1": "JP"}
)

// Mask returns a value with *** for each address in its strings, and counts them.
func (m *Model) Mask(v any, where string) any {
	switch v := v.(type) {
	case string:
		return addresses.ReplaceAllStringFunc(v, func(string) string { m.Masked[where]++; return "***" })
	case []byte:
		return append([]byte{}, addresses.ReplaceAllFunc(v, func([]byte) []byte { m.Masked[where]++; return []byte("***") })...)
	case []any:
		list := []any{}
		for _, e := range v {
			list = append(list, m.Mask(e, where))
		}
		return list
	case map[string]any:
		masked := map[string]any{}
		for k, e := range v {
			masked[k] = m.Mask(e, where)
		}
		return masked
	}
	return v
}

// Bodies are those that become of a record's: none, one or several.
func (m *Model) Bodies(body map[string]any) []map[string]any {
	if body["level"] == "debug" {
		m.Dropped++
		return nil
	}
	made := m.Mask(body, "body").(map[string]any)
	delete(made, "country")
	delete(made, "count")
	made["environment"] = "production"
	if ip, ok := body["client_ip"].(string); ok && countries[ip] != "" {
		made["country"] = countries[ip]
	}
	if user, ok := body["user"].(string); ok && len(user) <= 1024 {
		m.counts[user]++
		made["count"] = m.Number(m.counts[user])
	}
	items, ok := made["items"].([]any)
	if !ok || len(items) == 0 {
		return []map[string]any{made}
	}
	var list []map[string]any
	for _, item := range items {
		one := map[string]any{}
		for k, v := range made {
			one[k] = v
		}
		one["items"] = item
		list = append(list, one)
	}
	return list
}
