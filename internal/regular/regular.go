// Package regular reads files of which only the name is known: of bounded size, and
// never one that is not a regular file, where opening or reading may not end. It also
// writes files whole.
package regular

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// ErrNotRegular says that a path names a directory, a pipe, a device or a socket.
var ErrNotRegular = errors.New("not a regular file")

// ErrTooLarge says that a file has more bytes than are read.
var ErrTooLarge = errors.New("the file is too large")

// openFlags keep the opening of a pipe that nobody writes to from waiting.
const openFlags = os.O_RDONLY | syscall.O_NONBLOCK

// Read returns the content of the file at path, at most that many bytes. Errors name
// the path.
func Read(path string, maxBytes int64) ([]byte, error) {
	return read(path, maxBytes, func() (*os.File, error) { return os.OpenFile(path, openFlags, 0) })
}

// ReadIn is Read for a file in a directory that is open.
func ReadIn(root *os.Root, name string, maxBytes int64) ([]byte, error) {
	return read(name, maxBytes, func() (*os.File, error) { return root.OpenFile(name, openFlags, 0) })
}

func read(path string, maxBytes int64, open func() (*os.File, error)) ([]byte, error) {
	fail := func(err error) ([]byte, error) { return nil, &fs.PathError{Op: "read", Path: path, Err: err} }
	file, err := open()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return fail(ErrNotRegular)
	case info.Size() > maxBytes:
		return fail(fmt.Errorf("%w: it has %d bytes, at most %d are read", ErrTooLarge, info.Size(), maxBytes))
	}
	// The size may be wrong: files of /proc have none, and others grow.
	content := make([]byte, 0, max(info.Size()+1, 512))
	for int64(len(content)) <= maxBytes {
		if len(content) == cap(content) {
			content = append(content, 0)[:len(content)]
		}
		n, err := file.Read(content[len(content):min(int64(cap(content)), maxBytes+1)])
		content = content[:len(content)+n]
		switch {
		case err == io.EOF:
			return content, nil
		case err != nil:
			return nil, err
		}
	}
	return fail(fmt.Errorf("%w: at most %d bytes are read", ErrTooLarge, maxBytes))
}

// Replace writes a file with mode 0644 in one step: who opens it finds the old one or the whole new
// one, and so does who looks after the machine has died.
// Errors name the path.
func Replace(path string, content []byte) error {
	if err := replace(path, content); err != nil {
		for cause := err; cause != nil; cause = errors.Unwrap(cause) { // which name the temporary file
			err = cause
		}
		return &fs.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}

func replace(path string, content []byte) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return syscall.EISDIR
	}
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // fails once it is renamed
	_, err = temp.Write(content)
	if err == nil {
		err = temp.Chmod(0o644)
	}
	if err == nil {
		err = temp.Sync()
	}
	if closeErr := temp.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}
