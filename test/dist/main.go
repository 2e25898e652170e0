// Command dist says what keeps a built file from running where Fluent Bit does: a symbol of a
// newer C library, a library that official images lack, memory that is writable and executable,
// a symbol that is exported or imported and is not meant to be.
//
//	go run ./test/dist [-glibc 2.17] FILE...
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	glibc := flag.String("glibc", "", "newest version of glibc that may be asked for; any unless set")
	flag.Parse()
	failed := false
	for _, path := range flag.Args() {
		summary, problems, err := check(path, *glibc)
		if err != nil {
			problems = append(problems, err.Error())
		}
		for _, problem := range problems {
			fmt.Fprintf(os.Stderr, "%s: %s\n", filepath.Base(path), problem)
		}
		if len(problems) > 0 {
			failed = true
			continue
		}
		fmt.Printf("%s: %s\n", filepath.Base(path), summary)
	}
	if failed || flag.NArg() == 0 {
		os.Exit(1)
	}
}
