package journal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func left(t *testing.T, path string) []string {
	t.Helper()
	j, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, line := range j.Lines() {
		var each struct {
			Type, ID string
			Record   struct{ ID string }
		}
		_ = json.Unmarshal(line, &each)
		names = append(names, each.Type+" "+each.ID+each.Record.ID)
	}
	slices.Sort(names)
	return names
}

func end(j *Journal, id string) <-chan struct{} {
	done := make(chan struct{})
	j.Ended(id, Ended{At: 1, Fenced: true, Record: json.RawMessage(fmt.Sprintf(`{"id":%q}`, id))}, func() { close(done) })
	return done
}

func TestRunsThatAreNotForgottenAreFoundAgainEvenWithATornLastLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	go j.Work()
	for _, id := range []string{"a", "b", "c"} {
		j.Started(Started{ID: id})
	}
	for _, id := range []string{"b", "c"} {
		<-end(j, id)
	}
	j.Forgotten([]string{"c"})
	file, _ := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	_, _ = file.WriteString(`{"type":"forg`)
	_ = file.Close()
	if got := left(t, path); !slices.Equal(got, []string{"ended b", "started a"}) {
		t.Fatal(got)
	}
}

// fullOnce makes the next rewrite fail as on a full disk.
func fullOnce(t *testing.T, path string) {
	t.Helper()
	if err := os.Symlink("/dev/full", path+".new"); err != nil {
		t.Fatal(err)
	}
}

func TestOnAFullDiskTheJournalKeepsItsFileAndIsRewrittenWhenThereIsRoom(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	fullOnce(t, path)
	a, whole, torn := Started{Type: "started", ID: "a"}, Started{Type: "started", ID: "whole"}, `{"type":"forg`
	for _, last := range []string{torn, string(bytes.TrimSpace(encode(whole)))} {
		if err := os.WriteFile(path, append(encode(a), last...), 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if now, _ := os.ReadFile(path); !bytes.Equal(now, encode(a)) {
			t.Fatalf("%q", now)
		}
		fullOnce(t, path)
		j.Started(Started{ID: "b"})
		if !j.isBehind {
			t.Error("it was rewritten on a full disk")
		}
		j.Started(Started{ID: "c"})
		want := []string{"started a", "started b", "started c"}
		if last != torn {
			want = append(want, "started whole")
		}
		if got := left(t, path); !slices.Equal(got, want) || j.isBehind {
			t.Error(got, j.isBehind)
		}
		fullOnce(t, path)
	}
}

func TestAJournalWithFewLinesThatCountBecomesSmallAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j, _ := Open(path)
	go j.Work()
	j.Started(Started{ID: "kept"})
	for range 40 {
		var ids []string
		var waiting []<-chan struct{}
		for n := range 1000 {
			ids = append(ids, fmt.Sprintf("run-%d", n))
			waiting = append(waiting, end(j, ids[n]))
		}
		for _, done := range waiting {
			<-done
		}
		j.Forgotten(ids)
	}
	if info, err := os.Stat(path); err != nil || info.Size() > rewriteBytes {
		t.Fatal(info.Size(), err)
	}
	if got := left(t, path); !slices.Equal(got, []string{"started kept"}) {
		t.Fatal(got)
	}
}

func TestALargeJournalIsRewrittenWhenNothingIsDue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	isBusy := true
	j.IsBusy = func() bool { return isBusy }
	sizeAfter := func(id string) int64 {
		j.Started(Started{ID: id, Mark: string(make([]byte, rewriteBytes/64))})
		j.Forgotten([]string{id})
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	if size := sizeAfter("in a burst"); size < rewriteBytes/64 {
		t.Errorf("rewritten to %d bytes while runs are due", size)
	}
	isBusy = false
	if size := sizeAfter("after it"); size != 0 {
		t.Errorf("%d bytes are left", size)
	}
}

func TestForgettingRunsOneByOneRarelyRewritesTheOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	line := Started{Type: "started", Mark: string(make([]byte, rewriteBytes/64))}
	for n := range 40 {
		line.ID = fmt.Sprintf("run-%d", n)
		j.Started(line)
	}
	before, _ := j.file.Stat()
	rewritten := 0
	for n := range 20 {
		j.Forgotten([]string{fmt.Sprintf("run-%d", n)})
		if now, _ := j.file.Stat(); !os.SameFile(before, now) {
			before = now
			rewritten++
		}
	}
	if rewritten > 1 {
		t.Errorf("rewritten %d times", rewritten)
	}
}
