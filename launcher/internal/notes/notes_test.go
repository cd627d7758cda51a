//go:build unix

package notes

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestNotesNameGroupsAndTheLastTextCounts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes", "run")
	if err := Create(path); err != nil {
		t.Fatal(err)
	}
	content := "cgroup /a/shellcron-1\ncgroup /a/other\ncgroup a/shellcron-2\nunknown line\ntold first\ntold last one\n" +
		"cgroup /b/shellcron-3\ntold without its end"
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	groups, told := Read(path)
	if !slices.Equal(groups, []string{"/a/shellcron-1", "/b/shellcron-3"}) || told == nil || *told != "last one" {
		t.Errorf("%v %v", groups, told)
	}
	for _, missing := range []string{"", path + "-missing"} {
		if groups, told := Read(missing); groups != nil || told != nil {
			t.Errorf("%q: %v %v", missing, groups, told)
		}
	}
}
