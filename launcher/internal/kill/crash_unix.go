//go:build unix

package kill

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// lockWithin is how long KillAllNow waits for a lock.
const lockWithin = 100 * time.Millisecond

// KillAllNow kills the process group of every command. It is for a crash, and so it does not need the lock: a goroutine that crashed
// may hold it.
func (r *Reaper) KillAllNow() {
	unlock := tryLock(&r.mu)
	for pid := range r.claims {
		_ = unix.Kill(-pid, unix.SIGKILL)
	}
	unlock()
}

// tryLock gives up after lockWithin. The lock's holder is then the goroutine that crashed, and so nothing changes what it guards.
func tryLock(mu *sync.Mutex) (unlock func()) {
	for until := time.Now().Add(lockWithin); time.Now().Before(until); time.Sleep(time.Millisecond) {
		if mu.TryLock() {
			return mu.Unlock
		}
	}
	return func() {}
}
