//go:build unix

package start

import (
	"os"
	"strconv"
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

// MayBeRoot says whether the command will run as root, or may become root.
func (c *Command) MayBeRoot() bool {
	if c.order.AllowPrivilegeEscalation {
		return true
	}
	if credential := c.identity.credential(); credential != nil {
		return credential.Uid == 0
	}
	return os.Getuid() == 0
}
