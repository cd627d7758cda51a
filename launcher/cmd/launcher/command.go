package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// command is an order made ready before its instant: all that can be looked up and made is there. Nothing is open: each child
// closes every descriptor that we have at its exec, so that a thousand runs with their streams ready would make starting the slower.
type command struct {
	order   *arm
	who     *identity
	path    string
	env     []string
	group   *runGroup
	stdio   *stdio // nil before the start
	failure *startFailure
	notes   string // where its notes are, "": it leaves none
}

// machine is what commands are made with.
type machine struct {
	devNull int
	cgroups *cgroups
	ask     ask
	// notesDir is where notes lie.
	notesDir string
}

// prepare never fails: what is wrong is told at the instant.
func (m *machine) prepare(order *arm) *command {
	c := &command{order: order}
	if c.who, c.failure = identityOf(order.user, order.group, m.ask); c.failure != nil {
		return c
	}
	if order.notes {
		c.notes = filepath.Join(m.notesDir, spoolName(order.id))
	}
	c.env, c.path = environment(order, c.who)
	if c.notes != "" {
		c.env = append(c.env, notesVariable+"="+c.notes)
	}
	var err error
	if c.group, err = m.cgroups.make(order.resources); err != nil {
		c.failure = &startFailure{reason: "NoResources", message: err.Error()}
	}
	return c
}

func (c *command) open(devNull int) (err error) {
	if c.order.tty != nil {
		c.stdio, err = openTerminal(c.order, c.who)
	} else {
		c.stdio, err = openPipes(c.order, c.who, devNull)
	}
	return err
}

// start begins the command in a session and process group of its own: its environment and nothing else, its three streams and
// no other descriptor. Returns its pid.
func (c *command) start(devNull int) (pid int, failure *startFailure) {
	if c.failure != nil {
		return 0, c.failure
	}
	if err := c.open(devNull); err != nil {
		return 0, &startFailure{reason: "NoResources", message: err.Error()}
	}
	if err := makeNotes(c.notes); err != nil {
		return 0, &startFailure{reason: "NoResources", message: err.Error()}
	}
	attr := c.attributes()
	leave, err := c.group.enter(attr.Sys)
	if err != nil {
		return 0, &startFailure{reason: "NoResources", message: err.Error()}
	}
	files := candidates(c.order.argv[0], c.path, c.order.workingDir)
	pid, err = tryEach(files, c.order.argv, func(file string, argv []string) (int, error) {
		return syscall.ForkExec(file, argv, attr)
	})
	leave()
	c.stdio.closeChild()
	c.env = nil
	if err != nil {
		return 0, failureOf(err, c.order)
	}
	c.group.limitAfterStart()
	return pid, nil
}

func (c *command) attributes() *syscall.ProcAttr {
	streams := c.stdio.child
	return &syscall.ProcAttr{
		Dir:   c.order.workingDir,
		Env:   c.env,
		Files: []uintptr{uintptr(streams[0]), uintptr(streams[1]), uintptr(streams[2])},
		Sys:   &syscall.SysProcAttr{Setsid: true, Setctty: c.stdio.isTTY, Credential: c.who.credential()},
	}
}

// isRoot: whether it will run as root, and so may gain privileges.
func (c *command) isRoot() bool {
	if credential := c.who.credential(); credential != nil {
		return credential.Uid == 0
	}
	return os.Getuid() == 0
}

// release is for what will not start.
func (c *command) release() {
	if c.stdio != nil {
		c.stdio.close()
		c.stdio = nil
	}
	c.group.remove()
}

// environment is what was given, a default PATH, and what `userEnv` adds; also returns PATH.
func environment(order *arm, who *identity) (env []string, path string) {
	all := map[string]string{"PATH": defaultPath}
	if account := who.accountOrOwn(); order.userEnv && account != nil {
		all["HOME"], all["SHELL"] = account.home, account.shell
		all["USER"], all["LOGNAME"] = account.name, account.name
	}
	maps.Copy(all, order.env)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		env = append(env, name+"="+all[name])
	}
	return env, all["PATH"]
}
