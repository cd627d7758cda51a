//go:build !linux

package journal

import (
	"errors"
	"os"
)

func syncData(file *os.File) error {
	err := file.Sync()
	if errors.Is(err, os.ErrClosed) {
		return nil // A rewrite replaced the file, and synced the new one.
	}
	return err
}
