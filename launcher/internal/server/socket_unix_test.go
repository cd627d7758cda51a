//go:build unix

package server

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Nothing changes the mode later: the socket has it from its creation.
func TestOnlyItsOwnerCanOpenTheSocketWhateverTheUmask(t *testing.T) {
	mask := syscall.Umask(0)
	defer syscall.Umask(mask)
	dir := t.TempDir()
	listener, folder, err := listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	defer listener.Close()
	info, err := os.Lstat(filepath.Join(dir, socketName))
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("its mode is %o", mode)
	}
	if now := syscall.Umask(0); now != 0 {
		t.Errorf("listen left the umask %o", now)
	}
}
