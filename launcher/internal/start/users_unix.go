//go:build unix

package start

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// identity is the user and groups that a command runs as; nil is the launcher's.
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

// noNameService knows nobody.
func noNameService(string, ...string) []string { return nil }

// NeedsNameService is false if the files in /etc know the user and the group. A name service may be slow.
func NeedsNameService(user, group string) bool {
	if user != "" && accountOf(user, noNameService) == nil {
		return true
	}
	if group == "" {
		return false
	}
	_, isKnown := groupID(group, noNameService)
	return !isKnown
}

// identityOf reads /etc/passwd and /etc/group, and then asks the name services.
func identityOf(user, group string, lookup nameService) (*identity, *Failure) {
	if user == "" && group == "" {
		return nil, nil
	}
	wanted := user
	if user == "" {
		wanted = strconv.Itoa(os.Getuid())
	}
	as := &identity{gid: uint32(os.Getgid()), account: accountOf(wanted, lookup)}
	if uid, isNumber := parseID(wanted); as.account != nil {
		as.uid, as.gid = as.account.uid, as.account.gid
	} else if isNumber {
		as.uid = uid
	} else {
		return nil, &Failure{Reason: "NoSuchUser", Message: "there is no user " + user + " on this machine"}
	}
	if group == "" && as.account == nil && int(as.uid) != os.Getuid() {
		// The launcher's own group may be root's: it is not for this user.
		message := "user " + user + " has no account on this machine, and so no group: set host.group"
		return nil, &Failure{Reason: "NoSuchGroup", Message: message}
	}
	if group != "" {
		gid, isKnown := groupID(group, lookup)
		if !isKnown {
			return nil, &Failure{Reason: "NoSuchGroup", Message: "there is no group " + group + " on this machine"}
		}
		as.gid = gid
	}
	if failure := as.notPermitted(user, group); failure != nil {
		return nil, failure
	}
	if as.account != nil {
		as.groups = supplementaryGroups(as.account, lookup)
	}
	return as, nil
}

func (as *identity) notPermitted(user, group string) *Failure {
	isOwn := os.Getuid() == int(as.uid) && os.Getgid() == int(as.gid)
	if os.Getuid() == 0 || isOwn {
		return nil
	}
	message := "to run as user " + user + " the launcher must be root"
	if group != "" {
		message = "to run as user " + user + " and group " + group + " the launcher must be root"
	}
	return &Failure{Reason: "NotPermitted", Message: message}
}

var ownAccount = sync.OnceValue(func() *account { return accountOf(strconv.Itoa(os.Getuid()), noNameService) })

func (as *identity) accountOrOwn() *account {
	if as == nil {
		return ownAccount()
	}
	return as.account
}

// credential is nil if there is nothing to change. A launcher that is not root must not even set the groups that it has.
func (as *identity) credential() *syscall.Credential {
	if as == nil || os.Getuid() != 0 {
		return nil
	}
	return &syscall.Credential{Uid: as.uid, Gid: as.gid, Groups: as.groups}
}

// owner is whom the command's ends of its streams are given to; -1 leaves them to the launcher.
func (as *identity) owner() (uid, gid int) {
	if credential := as.credential(); credential != nil {
		return int(credential.Uid), int(credential.Gid)
	}
	return -1, -1
}

// IsRoot says whether the command will run as root.
func (c *Command) IsRoot() bool {
	if credential := c.identity.credential(); credential != nil {
		return credential.Uid == 0
	}
	return os.Getuid() == 0
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
