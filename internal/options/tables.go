package options

import (
	"path/filepath"
	"slices"
	"strings"
)

// tableExtensions are those of files that can be tables.
var tableExtensions = []string{".csv", ".json", ".mmdb"}

const maxTableNameBytes = 255

// tables reads the options that name files. What is in the files is for package tables to judge.
func (p *parser) tables(prefix string) (tables []TableFile) {
	for _, set := range p.prefixed(prefix) {
		t := TableFile{Name: lower(set.Key[len(prefix):]), Path: strings.TrimSpace(set.Value)}
		if i := strings.LastIndexByte(t.Path, ':'); i >= 0 && !isTable(t.Path) && strings.EqualFold(filepath.Ext(t.Path[:i]), ".csv") {
			t.Path, t.Column = t.Path[:i], t.Path[i+1:]
		}
		switch {
		case len(t.Name) > maxTableNameBytes:
			p.fail(set.Key, set.Value, "the name of a table has 255 bytes at most")
		case strings.IndexByte(set.Value, 0) >= 0:
			p.fail(set.Key, set.Value, "a path can't hold a zero byte")
		case !isTable(t.Path):
			p.fail(set.Key, set.Value, "give the path of a file that ends in .csv, .json or .mmdb, or PATH.csv:COLUMN")
		case slices.ContainsFunc(tables, func(other TableFile) bool { return other.Name == t.Name }):
			p.fail(set.Key, set.Value, "a table of that name is set before")
		}
		tables = append(tables, t)
	}
	return tables
}

func isTable(path string) bool {
	return slices.Contains(tableExtensions, strings.ToLower(filepath.Ext(path)))
}
