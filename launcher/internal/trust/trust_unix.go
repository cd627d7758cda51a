//go:build unix

package trust

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

const (
	byGroup     = 0o020
	byEveryUser = 0o002
)

// StateDirectory says why the directory cannot be trusted, and the remedy.
func StateDirectory(dir string, owners Owners) error {
	real, err := filepath.EvalSymlinks(dir)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err != nil {
		return err
	}
	if err := judge(real, byGroup|byEveryUser, owners); err != nil {
		return err
	}
	for at := filepath.Dir(real); ; at = filepath.Dir(at) {
		if err := judgeParent(at, owners); err != nil {
			return err
		}
		if at == filepath.Dir(at) {
			return planted(real, owners)
		}
	}
}

// judgeParent: other users can replace what is in a directory that they own or write, unless it is sticky.
func judgeParent(path string, owners Owners) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	writers := uint32(byEveryUser)
	if os.Getuid() == 0 {
		writers |= byGroup
	}
	if info.Mode()&fs.ModeSticky != 0 {
		writers = 0
	}
	return judge(path, writers, owners)
}

// judge refuses a path of another user, or one with one of these rights to write.
func judge(path string, writers uint32, owners Owners) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if err := judgeOwner(path, info, owners); err != nil {
		return err
	}
	if uint32(info.Mode().Perm())&writers != 0 {
		return fmt.Errorf("--state: other users can write %s; run `chmod go-w %s`", path, path)
	}
	return nil
}

func judgeOwner(path string, info fs.FileInfo, owners Owners) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || stat.Uid == 0 || int(stat.Uid) == os.Getuid() || slices.Contains(owners, int(stat.Uid)) {
		return nil
	}
	return fmt.Errorf("--state: %s belongs to user %d, who could change what runs here; remove it, or run `chown %d %s`",
		path, stat.Uid, os.Getuid(), path)
}

// planted refuses what was put into the directory to be followed or obeyed: symbolic links, and files of other users.
func planted(root string, owners Owners) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			// The agent works here too: a file may have gone.
			return nil
		}
		if entry.Type()&fs.ModeSymlink != 0 {
			return fmt.Errorf("--state: %s is a symbolic link, which would be written through; remove it", path)
		}
		info, err := entry.Info()
		if err != nil {
			return nil
		}
		return judgeOwner(path, info, owners)
	})
}
