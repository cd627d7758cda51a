package start

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// candidates are the files that a program's name may mean: every one in PATH that exists, in PATH's order, as execvp looks for them.
func candidates(program, path, workingDir string) []string {
	if strings.Contains(program, "/") || strings.ContainsRune(program, filepath.Separator) {
		return []string{program}
	}
	var found []string
	for folder := range strings.SplitSeq(path, string(filepath.ListSeparator)) {
		for _, suffix := range suffixes {
			file := filepath.Join(folder, program+suffix)
			if folder == "" {
				// `exec` would not take a bare name for a path.
				file = "." + string(filepath.Separator) + program + suffix
			}
			absolute := file
			if !filepath.IsAbs(file) {
				absolute = filepath.Join(workingDir, file)
			}
			if info, err := os.Stat(absolute); err == nil && !info.IsDir() {
				found = append(found, file)
			}
		}
	}
	return found
}

// tryEach calls `exec` with one file after the other, as execvp does: it goes on after a file that may not be executed, and runs one
// without a known format by the shell.
func tryEach[T any](files, argv []string, exec func(file string, argv []string) (T, error)) (child T, err error) {
	err = syscall.ENOENT
	for _, file := range files {
		child, failure := exec(file, argv)
		if errors.Is(failure, syscall.ENOEXEC) {
			child, failure = exec("/bin/sh", append([]string{"/bin/sh", file}, argv[1:]...))
		}
		if failure == nil {
			return child, nil
		}
		if errors.Is(err, syscall.ENOENT) {
			err = failure
		}
		if !errors.Is(failure, syscall.EACCES) && !errors.Is(failure, syscall.ENOENT) && !errors.Is(failure, syscall.ENOTDIR) {
			return child, failure
		}
	}
	return child, err
}
