package journal

import (
	"errors"
	"os"
)

// replace renames `next`, which `file` has open, to the journal's path. Windows renames no open file, nor over one: both are closed
// first.
func (j *Journal) replace(file *os.File, next string) error {
	_ = file.Close()
	if j.file != nil {
		_ = j.file.Close()
	}
	err := os.Rename(next, j.path)
	var openErr error
	j.file, openErr = os.OpenFile(j.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	return errors.Join(err, openErr)
}

// syncFolder does nothing: Windows cannot sync a folder.
func syncFolder(string) error { return nil }
