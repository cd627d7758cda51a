package start

import (
	"shellcron.dev/launcher/internal/cgroup"
	"shellcron.dev/launcher/internal/kill"
	"shellcron.dev/launcher/internal/notes"
	"shellcron.dev/launcher/internal/stdio"
	"shellcron.dev/launcher/internal/wire"
)

// Command is an order that was made ready. Its streams are opened at the start only: each child closes all of the launcher's
// descriptors at its exec, and a thousand runs with open streams would slow every start.
type Command struct {
	order     *wire.Arm
	devNull   int
	identity  *identity
	path      string
	env       []string
	group     *cgroup.Group
	streams   *stdio.Streams // nil before the start
	failure   *Failure
	notesPath string // "": the run has no notes
	script    int    // the descriptor of the script; -1: the run has none, or has not started
}

// Start runs the command in a session and process group of its own. It has its environment, its three streams, and no other
// descriptor.
func (c *Command) Start() (kill.Child, *Failure) {
	if c.failure != nil {
		return kill.Child{}, c.failure
	}
	if err := c.open(); err != nil {
		return kill.Child{}, noResources(err)
	}
	attr := c.attributes()
	leave, err := c.group.Enter(attr)
	if err != nil {
		return kill.Child{}, noResources(err)
	}
	files := candidates(c.order.Argv[0], c.path, c.order.WorkingDir)
	child, err := tryEach(files, c.argv(), func(file string, argv []string) (kill.Child, error) {
		return c.fork(file, argv, attr)
	})
	leave()
	c.streams.CloseChild()
	c.closeScript()
	c.env = nil
	if err != nil {
		return kill.Child{}, failureOf(err, c.order)
	}
	c.group.LimitAfterStart()
	return child, nil
}

// Order is what was armed.
func (c *Command) Order() *wire.Arm { return c.order }

// Streams are the command's, once it has started.
func (c *Command) Streams() *stdio.Streams { return c.streams }

// Group is the run's control groups; nil if there are none.
func (c *Command) Group() *cgroup.Group { return c.group }

// Tree is the process tree of the started command.
func (c *Command) Tree(child kill.Child) *kill.Tree {
	return kill.NewTree(child, kill.Traits{Mark: c.order.Mark, Group: c.group, Notes: c.notesPath, MayBeRoot: c.MayBeRoot()})
}

// Release is for a command that will not start, or did not.
func (c *Command) Release() {
	if c.streams != nil {
		c.streams.Close()
		c.streams = nil
	}
	c.closeScript()
	c.group.Remove()
}

func (c *Command) open() (err error) {
	with := stdio.Options{Stdin: c.order.Stdin, TTY: c.order.TTY}
	with.UID, with.GID = c.identity.owner()
	if c.streams, err = stdio.Open(with, c.devNull); err != nil {
		return err
	}
	if c.order.Script != "" {
		if c.script, err = openScript(c.order.Script); err != nil {
			return err
		}
	}
	if c.notesPath == "" {
		return nil
	}
	return notes.Create(c.notesPath)
}
