//go:build unix

package kill

import "time"

// Sweep is Kill for what a run that ended by itself left behind. There is no hurry.
func (k *Killer) Sweep(tree *Tree) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.sweeping) == 0 {
		k.sweepAt = time.Now().Add(sweepAfter)
		k.startSweepTimer()
	}
	k.sweeping = append(k.sweeping, tree)
}

func (k *Killer) startSweepTimer() {
	if k.sweepTimer == nil {
		k.sweepTimer = time.AfterFunc(sweepAfter, func() { k.request(func() {}) })
	} else {
		k.sweepTimer.Reset(sweepAfter)
	}
}

// promoteSweeps turns sweeps into kills when it is time.
func (k *Killer) promoteSweeps() {
	if len(k.sweeping) == 0 || time.Now().Before(k.sweepAt) {
		return
	}
	if k.IsBusy() && time.Since(k.sweepAt) < sweepWithin {
		k.startSweepTimer()
		return
	}
	for _, tree := range k.sweeping {
		k.killing[tree] = time.Now().Add(KillWithin)
	}
	k.sweeping = nil
}
