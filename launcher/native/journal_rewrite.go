package main

import (
	"errors"
	"os"
	"path/filepath"
)

// A journal that has grown by so much, and to twice of what counted, is rewritten with what still counts: when no run is due, as whatever starts then would wait for
// the disk, and else at the latest when it is so large.
const (
	rewriteBytes     = 4 << 20
	mostRewriteBytes = 16 * rewriteBytes
)

func (j *journal) isLarge() bool {
	grown := j.size - j.kept
	if grown <= mostRewriteBytes && j.isBusy() {
		return false
	}
	return grown > max(rewriteBytes, j.kept) || len(j.live) == 0 && j.size > rewriteBytes/64
}

// rewrite puts a file with what still counts in the place of the old one, durably.
func (j *journal) rewrite() error {
	file, err := os.OpenFile(j.path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	size := 0
	for _, line := range j.live {
		n, writeErr := file.Write(line)
		size += n
		err = errors.Join(err, writeErr)
	}
	if err = errors.Join(err, file.Sync()); err == nil {
		err = os.Rename(j.path+".new", j.path)
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	old := j.file
	j.file, j.size, j.kept = file, size, size
	if old != nil {
		// A sync that still uses it is let finish.
		_ = old.Close()
	}
	folder, err := os.Open(filepath.Dir(j.path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
