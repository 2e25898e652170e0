package main

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// add takes a licence up and returns what identifies it.
func (t texts) add(text string) string {
	sum := sha256.Sum256([]byte(strings.Join(strings.Fields(text), " ")))
	key := hex.EncodeToString(sum[:8])
	if _, ok := t[key]; !ok {
		text = strings.ReplaceAll(strings.ToValidUTF8(text, "?"), "\r\n", "\n")
		t[key] = strings.Trim(text, "\n") + "\n"
	}
	return key
}

var licenseName = regexp.MustCompile(`(?i)^(licen[sc]e|copying|copyright|notice|unlicense)([-._].*)?$`)

// read adds the licences that a directory and those below it hold, of C code in a crate for one.
func (t texts) read(dir string) ([]string, error) {
	var keys []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{"test", "tests", "testdata", "examples", "benches", "doc", "docs", ".git"}, d.Name()) && path != dir {
			return fs.SkipDir
		}
		// Not licence.go and the like.
		if !d.Type().IsRegular() || !licenseName.MatchString(d.Name()) || slices.Contains([]string{".go", ".rs", ".c", ".h", ".py", ".toml"}, filepath.Ext(d.Name())) {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if key := t.add(string(b)); !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
		return nil
	})
	slices.Sort(keys)
	return keys, err
}

// identify names a licence by words that it alone has; "" if it knows none.
func identify(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	for _, l := range []struct {
		id    string
		words []string
	}{
		{"Apache-2.0 WITH LLVM-exception", []string{"Apache License Version 2.0", "LLVM Exceptions to the Apache 2.0 License"}},
		{"Apache-2.0", []string{"Apache License Version 2.0, January 2004"}},
		{"MIT", []string{"Permission is hereby granted, free of charge", "The above copyright notice and this permission notice shall be included"}},
		{"BSD-3-Clause", []string{"Redistribution and use in source and binary forms", "Neither the name of"}},
		{"BSD-2-Clause", []string{"Redistribution and use in source and binary forms", "2. Redistributions in binary form"}},
		{"BSD-2-Clause", []string{"Redistribution and use in source and binary forms", "* Redistributions in binary form"}},
		{"ISC", []string{"Permission to use, copy, modify, and/or distribute this software for any purpose"}},
	} {
		if !slices.ContainsFunc(l.words, func(w string) bool { return !strings.Contains(text, w) }) {
			return l.id
		}
	}
	return ""
}
