package start

import "shellcron.dev/launcher/internal/kill"

// identity is always nil: commands run as the launcher's user.
type identity struct{}

type account struct{ name, home, shell string }

func newNameService(*kill.Reaper, int) nameService { return nil }

// NeedsNameService is false: no user is looked up.
func NeedsNameService(string, string) bool { return false }

func identityOf(string, string, nameService) (*identity, *Failure) { return nil, nil }

func (as *identity) accountOrOwn() *account { return nil }

func (as *identity) owner() (uid, gid int) { return -1, -1 }

// MayBeRoot does not matter on Windows.
func (c *Command) MayBeRoot() bool { return false }
