package spool

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const someTime = 1_700_000_000_000

func chunkAt(kind byte, at int64, data string) string {
	header := make([]byte, HeaderBytes)
	header[0] = kind
	binary.BigEndian.PutUint64(header[1:], uint64(at))
	binary.BigEndian.PutUint32(header[9:], uint32(len(data)))
	return string(header) + data
}

func spoolOf(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "spool")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// readSoFar is the number of bytes that this process has read, including reads from the page cache.
func readSoFar(t *testing.T) int64 {
	t.Helper()
	counts, _ := os.ReadFile("/proc/self/io")
	for line := range strings.Lines(string(counts)) {
		if count, found := strings.CutPrefix(line, "rchar: "); found {
			bytes, _ := strconv.ParseInt(strings.TrimSpace(count), 10, 64)
			return bytes
		}
	}
	t.Skip("/proc/self/io cannot be read")
	return 0
}

// The tail found from the end of the file must equal the tail of the whole file.
func TestATailIsFoundFromTheEnd(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", MaxDataBytes/16)
	lines := make([]string, 30_000)
	for n := range lines {
		lines[n] = chunkAt(byte(1+n%2), someTime, "line "+strconv.Itoa(n)+"\n")
	}
	printed := chunkAt(Stdout, someTime-86_400_000, "of another run") + chunkAt(Stderr, someTime-86_400_000, "too")
	for name, text := range map[string]string{
		"nothing":         "",
		"little":          chunkAt(Stdout, someTime, "one") + chunkAt(Stderr, someTime, "two"),
		"long chunks":     strings.Repeat(chunkAt(Stdout, someTime, long), 20) + chunkAt(Stderr, someTime, "end"),
		"short chunks":    strings.Join(lines, ""),
		"a spool printed": strings.Repeat(chunkAt(Stdout, someTime, long[len(printed):]+printed), 20),
		"torn":            strings.Repeat(chunkAt(Stdout, someTime, long), 20) + chunkAt(Stdout, someTime, "torn")[:15],
		"another clock":   strings.Repeat(chunkAt(Stdout, 4_711, long), 20),
		"cut":             strings.Repeat(chunkAt(Stdout, someTime, long), 20) + chunkAt(cut, someTime, `{"stdout":9,"stderr":0,"tail":"marked"}`),
	} {
		path := spoolOf(t, text)
		var all tail
		for rest := text; len(rest) >= HeaderBytes && chunkEnd([]byte(rest)) <= len(rest); rest = rest[chunkEnd([]byte(rest)):] {
			if rest[0] != cut {
				all.push([]byte(rest[HeaderBytes:chunkEnd([]byte(rest))]))
			}
		}
		want := all.text()
		if name == "cut" {
			want = "marked"
		}
		if got := RecoverTail(path, someTime, someTime); got != want {
			t.Errorf("%s: %q, not %q", name, got, want)
		}
		if got := Recover(path).Tail; got != want {
			t.Errorf("%s, counted: %q, not %q", name, got, want)
		}
	}
}

func TestRecoveryReadsLittleOfALongSpool(t *testing.T) {
	const chunks = 1000
	path := spoolOf(t, strings.Repeat(chunkAt(Stdout, someTime, strings.Repeat("x", MaxDataBytes)), chunks))
	before := readSoFar(t)
	counted := Recover(path)
	if read := readSoFar(t) - before; read > chunks*MaxDataBytes/10 {
		t.Errorf("counting it read %d bytes", read)
	}
	if counted.Stdout.Bytes != chunks*MaxDataBytes || len(counted.Tail) != tailBytes {
		t.Errorf("%+v", counted)
	}
	before = readSoFar(t)
	found := RecoverTail(path, someTime, someTime)
	if read := readSoFar(t) - before; read > 1<<20 {
		t.Errorf("finding its tail read %d bytes", read)
	}
	if found != counted.Tail {
		t.Error(found)
	}
}
