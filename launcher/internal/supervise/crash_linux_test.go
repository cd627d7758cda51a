package supervise

import (
	"os"
	"path/filepath"
	"testing"
)

// Package kill tests that a crash also kills the process groups of the commands.
func TestACrashKillsTheGroupsThatNotesNameAndNoOthers(t *testing.T) {
	named := filepath.Join(t.TempDir(), "shellcron-named")
	foreign := filepath.Join(t.TempDir(), "foreign")
	for _, folder := range []string{named, foreign} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "cgroup.kill"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	notesDir := t.TempDir()
	if err := os.WriteFile(filepath.Join(notesDir, "run"), []byte("cgroup "+named+"\ncgroup "+foreign+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	killNamed(notesDir)
	for folder, want := range map[string]string{named: "1", foreign: ""} {
		if got, err := os.ReadFile(filepath.Join(folder, "cgroup.kill")); err != nil || string(got) != want {
			t.Errorf("%s: %q %v", folder, got, err)
		}
	}
}
