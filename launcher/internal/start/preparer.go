// Package start starts commands: it looks up their user and their program, makes their streams and control groups, and runs them in a
// session of their own.
package start

import (
	"path/filepath"

	"shellcron.dev/launcher/internal/cgroup"
	"shellcron.dev/launcher/internal/kill"
	"shellcron.dev/launcher/internal/notes"
	"shellcron.dev/launcher/internal/spool"
	"shellcron.dev/launcher/internal/wire"
)

// Preparer makes commands ready before their instant.
type Preparer struct {
	devNull  int
	cgroups  *cgroup.Hierarchy
	lookup   nameService
	notesDir string
}

// nameService runs a program that asks the system's name services, and returns its lines; none if it failed.
type nameService func(program string, args ...string) []string

// NewPreparer makes the launcher's control groups, and kills what an earlier launcher left in them.
func NewPreparer(stateDir, notesDir string, pidsLimit int, reaper *kill.Reaper) (*Preparer, error) {
	devNull, err := openDevNull()
	if err != nil {
		return nil, err
	}
	return &Preparer{devNull, cgroup.NewHierarchy(stateDir, pidsLimit), newNameService(reaper, devNull), notesDir}, nil
}

// Prepare looks up and makes everything that can be made early. It does not fail: a failure is reported at the run's instant.
func (p *Preparer) Prepare(order *wire.Arm) *Command {
	c := &Command{order: order, devNull: p.devNull, script: -1}
	if c.identity, c.failure = identityOf(order.User, order.Group, p.lookup); c.failure != nil {
		return c
	}
	if order.Notes && hasNotes {
		c.notesPath = filepath.Join(p.notesDir, spool.Name(order.ID))
	}
	c.env, c.path = environment(order, c.identity)
	if c.notesPath != "" {
		c.env = append(c.env, notes.Variable+"="+c.notesPath)
	}
	var err error
	if c.group, err = p.cgroups.Make(order.Resources); err != nil {
		c.failure = noResources(err)
	}
	return c
}

// Features are those of the protocol that this machine has.
func (p *Preparer) Features() []string {
	features := []string{}
	for _, each := range []struct {
		name   string
		exists bool
	}{
		{"tty", hasTerminals}, {"rusage", hasRusage}, {"notes", hasNotes}, {"script", hasScripts}, {"resources", p.cgroups.CanLimit()}, {"oom", p.cgroups.CanLimit()},
	} {
		if each.exists {
			features = append(features, each.name)
		}
	}
	return features
}

// Unsupported says what this machine cannot do of an order; "" if nothing. Such an order is refused: it must not run with a part
// missing.
func (p *Preparer) Unsupported(order *wire.Arm) string {
	switch {
	case order.Resources != nil && !p.cgroups.CanLimit():
		return "this launcher cannot limit resources: no writable cgroup has all of cpu, memory and pids"
	case order.TTY != nil && !hasTerminals:
		return "this launcher has no terminals on this system"
	case order.Script != "" && !hasScripts:
		return "this launcher cannot run a script as a file on this system"
	case (order.User != "" || order.Group != "") && !hasUsers:
		return "this launcher cannot run commands as another user or group on this system"
	default:
		return ""
	}
}

// Close removes the launcher's control groups.
func (p *Preparer) Close() { p.cgroups.Remove() }

// KillAllNow kills what is in the launcher's control groups. It needs no lock.
func (p *Preparer) KillAllNow() { p.cgroups.KillAll() }
