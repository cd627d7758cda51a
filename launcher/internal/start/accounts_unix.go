//go:build unix

package start

import (
	"os"
	"slices"
	"strconv"
	"strings"
)

// account is nil for a number that no user has.
type account struct {
	uid, gid          uint32
	name, home, shell string
	isLocal           bool
}

func accountOf(user string, lookup nameService) *account {
	if found := accountIn(readLines("/etc/passwd"), user); found != nil {
		found.isLocal = true
		return found
	}
	return accountIn(lookup("getent", "passwd", user), user)
}

// accountIn prefers a name to a number. It skips malformed lines; github.com/moby/sys/user would read a malformed number as 0, which
// is root.
func accountIn(lines []string, user string) *account {
	var byNumber *account
	for _, line := range lines {
		row := strings.Split(line, ":")
		if len(row) < 7 || row[0] != user && row[2] != user {
			continue
		}
		uid, isUID := parseID(row[2])
		gid, isGID := parseID(row[3])
		if !isUID || !isGID {
			continue
		}
		found := &account{uid: uid, gid: gid, name: row[0], home: row[5], shell: row[6]}
		if found.shell == "" {
			found.shell = "/bin/sh"
		}
		if row[0] == user {
			return found
		}
		if byNumber == nil {
			byNumber = found
		}
	}
	return byNumber
}

func groupID(group string, lookup nameService) (gid uint32, isKnown bool) {
	find := func(lines []string) (uint32, bool) {
		for _, line := range lines {
			if row := strings.Split(line, ":"); len(row) > 2 && row[0] == group {
				return parseID(row[2])
			}
		}
		return 0, false
	}
	if gid, isKnown = find(readLines("/etc/group")); isKnown {
		return gid, true
	}
	if gid, isKnown = find(lookup("getent", "group", group)); isKnown {
		return gid, true
	}
	return parseID(group)
}

func supplementaryGroups(of *account, lookup nameService) []uint32 {
	var groups []uint32
	if !of.isLocal {
		for _, line := range lookup("id", "-G", of.name) {
			for number := range strings.FieldsSeq(line) {
				if gid, isNumber := parseID(number); isNumber {
					groups = append(groups, gid)
				}
			}
		}
		return groups
	}
	for _, line := range readLines("/etc/group") {
		row := strings.Split(line, ":")
		if len(row) > 3 && slices.Contains(strings.Split(row[3], ","), of.name) {
			if gid, isNumber := parseID(row[2]); isNumber {
				groups = append(groups, gid)
			}
		}
	}
	return groups
}

func parseID(text string) (id uint32, isNumber bool) {
	number, err := strconv.ParseUint(text, 10, 32)
	return uint32(number), err == nil
}

func readLines(path string) []string {
	content, _ := os.ReadFile(path)
	return strings.Split(string(content), "\n")
}
