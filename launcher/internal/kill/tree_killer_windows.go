package kill

import (
	"time"

	"shellcron.dev/launcher/internal/proc"
)

// Killer ends whole trees by their job objects.
type Killer struct {
	// IsBusy is not used on Windows.
	IsBusy func() bool
}

// NewKiller returns a killer.
func NewKiller(*Reaper) *Killer { return &Killer{} }

// Watch does nothing: the job knows its processes.
func (k *Killer) Watch(*Tree) {}

// Exited does nothing: the job knows its processes.
func (k *Killer) Exited(*Tree) {}

// Members returns none: what the command leaves is killed at once.
func (k *Killer) Members(*Tree) []proc.Process { return nil }

// Leave does nothing: the job ends what the command leaves.
func (k *Killer) Leave(*Tree) {}

// Unwatch says that the tree's command has ended. What is left of its tree is killed.
func (k *Killer) Unwatch(tree *Tree) { tree.child.Job.Close() }

// Terminate kills at once: Windows has no SIGTERM, and a console's Ctrl events reach only processes that share the launcher's console.
func (k *Killer) Terminate(tree *Tree) { k.Kill(tree) }

// Kill ends every process of the tree. The trees of an earlier launcher died with it.
func (k *Killer) Kill(tree *Tree) {
	if tree.child.Job != nil {
		tree.child.Job.Kill()
	}
}

// Sweep does nothing: Unwatch has killed what was left.
func (k *Killer) Sweep(*Tree) {}

// WaitIdle does nothing: killing a job takes effect at once.
func (k *Killer) WaitIdle(time.Duration) {}

// Work does nothing.
func (k *Killer) Work() {}

// KillAllNow does nothing: the jobs end with this process.
func (r *Reaper) KillAllNow() {}
