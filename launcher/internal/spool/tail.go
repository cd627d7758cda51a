package spool

import (
	"strings"
	"unicode/utf8"
)

const tailBytes = 512

// tail holds the last bytes of a run's output, both streams in the order in which they came.
type tail struct {
	bytes []byte
	// isCut: there was output before these bytes.
	isCut bool
}

func (t *tail) push(data []byte) {
	if len(t.bytes)+len(data) > tailBytes {
		t.isCut = true
	}
	if len(data) >= tailBytes {
		t.bytes = append(t.bytes[:0], data[len(data)-tailBytes:]...)
		return
	}
	if over := len(t.bytes) + len(data) - tailBytes; over > 0 {
		t.bytes = append(t.bytes[:0], t.bytes[over:]...)
	}
	t.bytes = append(t.bytes, data...)
}

// text is at most 512 bytes of UTF-8 and begins at a character. Invalid bytes become U+FFFD.
func (t *tail) text() string {
	text := decode(t.bytes, t.isCut)
	if len(text) <= tailBytes {
		return text
	}
	return decode([]byte(text)[len(text)-tailBytes:], true)
}

func decode(bytes []byte, isCut bool) string {
	for n := 0; isCut && n < 3 && len(bytes) > 0 && !utf8.RuneStart(bytes[0]); n++ {
		bytes = bytes[1:]
	}
	var text strings.Builder
	for _, char := range string(bytes) {
		text.WriteRune(char)
	}
	return text.String()
}
