package spool

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"unicode/utf16"
)

// Longer names end with a hash of the id.
const (
	longestName = 200
	longestStem = 160
)

// Name is the file name for a run's id. Whatever the id holds, the file lies in its folder, and no two ids have the same name. A
// launcher of another version must find the same files: do not change it.
func Name(id string) string {
	var name strings.Builder
	for n := 0; n < len(id); n++ {
		char := id[n]
		if isPlain(char) || char == '.' && n > 0 {
			name.WriteByte(char)
		} else {
			fmt.Fprintf(&name, "%%%02X", char)
		}
	}
	if name.Len() <= longestName {
		return name.String()
	}
	// The hash is that of the id in UTF-16, as JavaScript holds it.
	units := utf16.Encode([]rune(id))
	bytes := make([]byte, 0, 2*len(units))
	for _, unit := range units {
		bytes = binary.LittleEndian.AppendUint16(bytes, unit)
	}
	return fmt.Sprintf("%s-%x", name.String()[:longestStem], sha256.Sum256(bytes))
}

// isPlain is true for what encodeURIComponent of JavaScript leaves as it is. The file systems of darwin and Windows take upper and
// lower case for the same, and Windows takes no asterisk.
func isPlain(char byte) bool {
	switch {
	case char >= 'a' && char <= 'z', char >= '0' && char <= '9', strings.IndexByte("-_!~'()", char) >= 0:
		return true
	case char >= 'A' && char <= 'Z', char == '*':
		return runtime.GOOS == "linux"
	default:
		return false
	}
}
