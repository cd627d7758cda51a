//go:build unix

package journal

import (
	"errors"
	"os"
	"path/filepath"
)

// replace renames `next`, which `file` has open, to the journal's path.
func (j *Journal) replace(file *os.File, next string) error {
	if err := os.Rename(next, j.path); err != nil {
		return errors.Join(err, file.Close(), os.Remove(next))
	}
	old := j.file
	j.file = file
	if old != nil {
		// A sync that still uses it finishes first.
		_ = old.Close()
	}
	return nil
}

// syncFolder makes a rename durable.
func syncFolder(path string) error {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
