package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go/flbtest"
)

func check(t *testing.T, config map[string]string, body, want string) {
	t.Helper()
	filter, err := (&flbtest.Host{Config: config}).Start(configure)
	if err != nil {
		t.Fatal(err)
	}
	if got := filter.Run(flbtest.Record{Body: body}).Bodies(); !slices.Equal(got, []string{want}) {
		t.Errorf("%s becomes %s, want %s", body, got, want)
	}
}

func TestMembersBecomeKeys(t *testing.T) {
	for body, want := range map[string]string{
		`{"log":" {\"a\":[1,-2.5,{\"b\":null}],\"c\":{\"d\":[]},\"e\":true}\n","f":1}`: `{"f":1,"a":[1,-2.5,{"b":null}],"c":{"d":[]},"e":true}`,
		`{"message":"{\"n\":18446744073709551615,\"m\":-9223372036854775808}"}`:        `{"n":18446744073709551615,"m":-9223372036854775808}`,
		`{"log":"{\"a\":\"theirs\",\"b.c\":\"\\u00e9\"}","a":"mine"}`:                  `{"a":"mine","b.c":"é"}`,
		`{"log":"{\"log\":\"inside\",\"message\":2}","message":"{}"}`:                  `{"message":"{}","log":"inside"}`,
		`{"log":"text","message":"{\"a\":1}"}`:                                         `{"log":"text","a":1}`,
	} {
		check(t, nil, body, want)
	}
}

func TestWhatIsNoObjectStays(t *testing.T) {
	deep := strings.Repeat(`{\"a\":`, 31) + "{}" + strings.Repeat("}", 31)
	for _, log := range []string{``, `[1]`, `{\"a\":1,}`, `{} x`, `{\"a\":1e999}`, deep} {
		body := `{"log":"` + log + `","message":7}`
		check(t, nil, body, body)
	}
}

func TestPrefixAndKeep(t *testing.T) {
	config := map[string]string{"prefix": "app.", "keep": "true"}
	check(t, config, `{"log":"{\"log\":1,\"a\":2}","app.a":3}`, `{"log":"{\"log\":1,\"a\":2}","app.a":3,"app.log":1}`)
	if _, err := (&flbtest.Host{Config: map[string]string{"keep": "maybe"}}).Start(configure); err == nil {
		t.Error("config.keep maybe is taken")
	}
}
