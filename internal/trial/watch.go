package trial

import (
	"context"
	"os"
	"slices"
	"time"
)

// How often Watch looks at the files, and for how long they must have stayed as they are: compilers and
// editors write in pieces.
const (
	watchInterval = 100 * time.Millisecond
	watchQuiet    = 100 * time.Millisecond
)

// Watch is files of which it is to be known when they change. It looks at them again and again, which costs
// little and works on each file system, whatever takes the place of a file.
type Watch struct {
	paths []string
	seen  []stamp
}

type stamp struct {
	modified time.Time
	size     int64
	file     os.FileInfo // nil: there is none
}

func (s stamp) same(o stamp) bool {
	if s.file == nil || o.file == nil {
		return s.file == nil && o.file == nil
	}
	return s.size == o.size && s.modified.Equal(o.modified) && os.SameFile(s.file, o.file)
}

// NewWatch begins to watch files, which need not be there.
func NewWatch(paths []string) *Watch {
	w := &Watch{}
	w.Add(paths)
	return w
}

// Add begins to watch further files. Of those that are watched it changes nothing.
func (w *Watch) Add(paths []string) {
	for _, path := range paths {
		if path != "" && !slices.Contains(w.paths, path) {
			w.paths = append(w.paths, path)
			w.seen = append(w.seen, stampOf(path))
		}
	}
}

func stampOf(path string) (s stamp) {
	if info, err := os.Stat(path); err == nil {
		s = stamp{info.ModTime(), info.Size(), info}
	}
	return s
}

func (w *Watch) look() (stamps []stamp) {
	for _, path := range w.paths {
		stamps = append(stamps, stampOf(path))
	}
	return stamps
}

// Wait returns which files have changed since the last Wait, or NewWatch, once there is one, and all have been as
// they are for a moment.
func (w *Watch) Wait(ctx context.Context) (changed []string, err error) {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	last, since := w.seen, time.Time{}
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case now := <-ticker.C:
			next := w.look()
			if !slices.EqualFunc(next, last, stamp.same) {
				last, since = next, now
				continue
			}
			changed = nil
			for i, path := range w.paths {
				if !next[i].same(w.seen[i]) {
					changed = append(changed, path)
				}
			}
			if len(changed) > 0 && now.Sub(since) >= watchQuiet {
				w.seen = next
				return changed, nil
			}
		}
	}
}
