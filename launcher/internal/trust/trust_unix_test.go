//go:build unix

package trust

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const nobody = 65534

// made returns a trusted state directory with a spool, and its parent.
func made(t *testing.T) (parent, dir string) {
	t.Helper()
	parent = t.TempDir()
	dir = filepath.Join(parent, "state")
	if err := os.MkdirAll(filepath.Join(dir, "spool"), 0o700); err != nil {
		t.Fatal(err)
	}
	return parent, dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func refused(t *testing.T, dir, says string) {
	t.Helper()
	if err := StateDirectory(dir, nil); err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("got %v, not %q", err, says)
	}
}

func TestAnOwnDirectoryIsTrusted(t *testing.T) {
	_, dir := made(t)
	must(t, StateDirectory(dir, nil))
}

func TestADirectoryThatOthersCanWriteIsRefused(t *testing.T) {
	_, dir := made(t)
	for _, mode := range []os.FileMode{0o770, 0o702, os.ModeSticky | 0o777} {
		must(t, os.Chmod(dir, mode))
		refused(t, dir, "other users can write")
	}
}

func TestAParentThatOthersCanWriteIsRefusedUnlessItIsSticky(t *testing.T) {
	parent, dir := made(t)
	must(t, os.Chmod(parent, 0o777))
	refused(t, dir, "other users can write "+parent)
	must(t, os.Chmod(parent, os.ModeSticky|0o777))
	must(t, StateDirectory(dir, nil))
}

func TestASymbolicLinkInTheDirectoryIsRefused(t *testing.T) {
	parent, dir := made(t)
	must(t, os.Symlink(filepath.Join(parent, "target"), filepath.Join(dir, "launcher.journal")))
	refused(t, dir, "launcher.journal is a symbolic link")
}

func TestWhatBelongsToAnotherUserIsRefusedUnlessThatUserIsTrusted(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give files away")
	}
	for _, name := range []string{"", "state", "state/spool"} {
		parent, dir := made(t)
		must(t, os.Chown(filepath.Join(parent, name), nobody, nobody))
		refused(t, dir, "belongs to user 65534")
		must(t, StateDirectory(dir, Owners{nobody}))
	}
}
