// Package filewatch tells when the file at a path has become another one, and stays it: by looking at
// it now and then. So it is all one whether a file is written in place, another one is renamed to its
// name, or a link on the way to it leads elsewhere, as in the maps of Kubernetes.
package filewatch

import (
	"os"
	"syscall"
)

// maxChanging is how many looks in a row may find a file changed since the look before until it is
// due all the same.
const maxChanging = 10

// ID tells one content of a file from another, by what the file system says. The zero ID is that of
// no file.
type ID struct {
	device, inode     uint64
	size              int64
	modified, changed int64 // in ns since 1970
}

// Of is the ID of a file that has been looked at by os.Stat, which follows links, or File.Stat.
func Of(info os.FileInfo) ID {
	id := ID{size: info.Size(), modified: info.ModTime().UnixNano()}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		id.device, id.inode = uint64(stat.Dev), stat.Ino //nolint:unconvert // 32 bits on some machines
		id.changed = stat.Ctim.Nano()
	}
	return id
}

// Stat is the ID of what is at the path now.
func Stat(path string) (ID, error) {
	info, err := os.Stat(path)
	if err != nil {
		return ID{}, err
	}
	return Of(info), nil
}

// Watch is what is known of a file. The zero Watch knows none.
type Watch struct {
	taken   ID
	refused ID
	seen    ID  // at the last look, if that was another one than these
	looks   int // since then
}

// Take says that this content is in use.
func (w *Watch) Take(id ID) { *w = Watch{taken: id} }

// Refuse says that this content can't be used.
func (w *Watch) Refuse(id ID) { w.refused, w.looks = id, 0 }

// IsTaken says whether this content is in use.
func (w *Watch) IsTaken(found ID) bool { return found == w.taken }

// Due says whether the content that a look has found is to be taken or refused now. A file may be
// written while it is looked at: it is due once it has stayed the same between two looks, or if it
// never does.
func (w *Watch) Due(found ID) bool {
	switch {
	case found == w.taken, found == w.refused:
		w.looks = 0
		return false
	case w.looks > 0 && found == w.seen, w.looks >= maxChanging:
		w.looks = 0
		return true
	}
	w.seen = found
	w.looks++
	return false
}
