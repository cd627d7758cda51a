package main

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
	header := make([]byte, chunkHeaderBytes)
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

// readSoFar is how much this process has read, from the page cache too.
func readSoFar(t *testing.T) int64 {
	t.Helper()
	for _, line := range readLines("/proc/self/io") {
		if count, found := strings.CutPrefix(line, "rchar: "); found {
			bytes, _ := strconv.ParseInt(count, 10, 64)
			return bytes
		}
	}
	t.Skip("nobody counts")
	return 0
}

// A tail is the same however it is found, from the end or on the whole way.
func TestATailIsFoundFromTheEnd(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", readBytes/16)
	lines := make([]string, 30_000)
	for n := range lines {
		lines[n] = chunkAt(byte(1+n%2), someTime, "line "+strconv.Itoa(n)+"\n")
	}
	printed := chunkAt(kindStdout, someTime-86_400_000, "of another run") + chunkAt(kindStderr, someTime-86_400_000, "too")
	for name, text := range map[string]string{
		"nothing":         "",
		"little":          chunkAt(kindStdout, someTime, "one") + chunkAt(kindStderr, someTime, "two"),
		"long chunks":     strings.Repeat(chunkAt(kindStdout, someTime, long), 20) + chunkAt(kindStderr, someTime, "end"),
		"short chunks":    strings.Join(lines, ""),
		"a spool printed": strings.Repeat(chunkAt(kindStdout, someTime, long[len(printed):]+printed), 20),
		"torn":            strings.Repeat(chunkAt(kindStdout, someTime, long), 20) + chunkAt(kindStdout, someTime, "torn")[:15],
		"another clock":   strings.Repeat(chunkAt(kindStdout, 4_711, long), 20),
		"cut":             strings.Repeat(chunkAt(kindStdout, someTime, long), 20) + chunkAt(kindCut, someTime, `{"stdout":9,"stderr":0,"tail":"marked"}`),
	} {
		path := spoolOf(t, text)
		var all tail
		for rest := text; len(rest) >= chunkHeaderBytes && chunkEnd([]byte(rest)) <= len(rest); rest = rest[chunkEnd([]byte(rest)):] {
			if rest[0] != kindCut {
				all.push([]byte(rest[chunkHeaderBytes:chunkEnd([]byte(rest))]))
			}
		}
		want := all.text()
		if name == "cut" {
			want = "marked"
		}
		if got := recoverTail(path, someTime, someTime); got != want {
			t.Errorf("%s: %q, not %q", name, got, want)
		}
		if got := recoverOutput(path).Tail; got != want {
			t.Errorf("%s, counted: %q, not %q", name, got, want)
		}
	}
}

func TestOfALongSpoolLittleIsRead(t *testing.T) {
	const chunks = 1000
	path := spoolOf(t, strings.Repeat(chunkAt(kindStdout, someTime, strings.Repeat("x", readBytes)), chunks))
	before := readSoFar(t)
	counted := recoverOutput(path)
	if read := readSoFar(t) - before; read > chunks*readBytes/10 {
		t.Errorf("to count it %d bytes are read", read)
	}
	if counted.Stdout.Bytes != chunks*readBytes || len(counted.Tail) != tailBytes {
		t.Errorf("%+v", counted)
	}
	before = readSoFar(t)
	found := recoverTail(path, someTime, someTime)
	if read := readSoFar(t) - before; read > 1<<20 {
		t.Errorf("for its tail %d bytes are read", read)
	}
	if found != counted.Tail {
		t.Error(found)
	}
}
