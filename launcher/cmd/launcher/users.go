package main

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// identity is whom a command runs as; nil: as the launcher.
type identity struct {
	uid, gid uint32
	// groups are the supplementary ones.
	groups  []uint32
	account *account
}

// account is nil for a number that no user has.
type account struct {
	uid, gid          uint32
	name, home, shell string
	isLocal           bool
}

// ask runs a program and returns its lines of output.
type ask func(program string, args ...string) []string

// isLocalIdentity: whether the files in /etc know it, so that nobody has to be asked.
func isLocalIdentity(user, group string) bool {
	nobody := func(string, ...string) []string { return nil }
	if user != "" && accountOf(user, nobody) == nil {
		return false
	}
	if group == "" {
		return true
	}
	_, known := groupID(group, nobody)
	return known
}

// identityOf reads /etc/passwd and /etc/group, and asks `getent` and `id` for users that only a directory service knows.
func identityOf(user, group string, ask ask) (*identity, *startFailure) {
	if user == "" && group == "" {
		return nil, nil
	}
	wanted := user
	if user == "" {
		wanted = strconv.Itoa(os.Getuid())
	}
	who := &identity{gid: uint32(os.Getgid()), account: accountOf(wanted, ask)}
	if uid, isNumber := parseID(wanted); who.account != nil {
		who.uid, who.gid = who.account.uid, who.account.gid
	} else if isNumber {
		who.uid = uid
	} else {
		return nil, &startFailure{reason: "NoSuchUser", message: "there is no user " + user + " on this machine"}
	}
	if group == "" && who.account == nil && int(who.uid) != os.Getuid() {
		return nil, noGroup(user)
	}
	if group != "" {
		gid, known := groupID(group, ask)
		if !known {
			return nil, &startFailure{reason: "NoSuchGroup", message: "there is no group " + group + " on this machine"}
		}
		who.gid = gid
	}
	isOwn := os.Getuid() == int(who.uid) && os.Getgid() == int(who.gid)
	if os.Getuid() != 0 && !isOwn {
		message := "to run as user " + user + " the launcher must be root"
		if group != "" {
			message = "to run as user " + user + " and group " + group + " the launcher must be root"
		}
		return nil, &startFailure{reason: "NotPermitted", message: message}
	}
	if who.account != nil {
		who.groups = supplementary(who.account, ask)
	}
	return who, nil
}

// noGroup is of a number that no user has: our own group, which may be root's, is not for it.
func noGroup(user string) *startFailure {
	message := "user " + user + " has no account on this machine, and so no group: set host.group"
	return &startFailure{reason: "NoSuchGroup", message: message}
}

var ownAccount = sync.OnceValue(func() *account {
	return accountOf(strconv.Itoa(os.Getuid()), func(string, ...string) []string { return nil })
})

// accountOrOwn: without an identity the command runs as we do.
func (who *identity) accountOrOwn() *account {
	if who == nil {
		return ownAccount()
	}
	return who.account
}

// credential is nil where there is nothing to become: who is not root may not even set the groups that he has.
func (who *identity) credential() *syscall.Credential {
	if who == nil || os.Getuid() != 0 {
		return nil
	}
	return &syscall.Credential{Uid: who.uid, Gid: who.gid, Groups: who.groups}
}

func accountOf(user string, ask ask) *account {
	if found := accountIn(readLines("/etc/passwd"), user); found != nil {
		found.isLocal = true
		return found
	}
	return accountIn(ask("getent", "passwd", user), user)
}

// accountIn prefers a name to a number.
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

func groupID(group string, ask ask) (gid uint32, known bool) {
	find := func(lines []string) (uint32, bool) {
		for _, line := range lines {
			if row := strings.Split(line, ":"); len(row) > 2 && row[0] == group {
				return parseID(row[2])
			}
		}
		return 0, false
	}
	if gid, known = find(readLines("/etc/group")); known {
		return gid, true
	}
	if gid, known = find(ask("getent", "group", group)); known {
		return gid, true
	}
	return parseID(group)
}

func supplementary(of *account, ask ask) []uint32 {
	var groups []uint32
	if !of.isLocal {
		for _, line := range ask("id", "-G", of.name) {
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
