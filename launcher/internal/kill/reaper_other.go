//go:build !linux

package kill

import "shellcron.dev/launcher/internal/crash"

// Adopt does nothing: only Linux gives orphans to the launcher.
func Adopt() error { return nil }

// Claim calls `onExit` once, from a goroutine of its own.
func (r *Reaper) Claim(child Child, onExit func(Exit)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.claims[child.Pid] = onExit
	r.endStarting()
	crash.Go(func() {
		exit := child.wait()
		r.mu.Lock()
		delete(r.claims, child.Pid)
		r.mu.Unlock()
		onExit(exit)
	})
}

// Work does nothing: each child has a goroutine that waits for it.
func (r *Reaper) Work() {}
