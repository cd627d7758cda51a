package journal

import "time"

// Syncs are at least this far apart, and further while runs are due: a sync costs time that the starts need.
const (
	syncEvery     = 20 * time.Millisecond
	syncBusyEvery = 100 * time.Millisecond
)

// Work writes and syncs the lines of Ended until the process ends.
func (j *Journal) Work() {
	var last time.Time
	for range j.work {
		pause := syncEvery
		if j.IsBusy() {
			pause = syncBusyEvery
		}
		time.Sleep(pause - time.Since(last))
		j.mu.Lock()
		batch := j.ending
		j.ending = nil
		var all []byte
		for _, each := range batch {
			j.current[each.id] = each.line
			all = append(all, each.line...)
		}
		j.write(all)
		file := j.file
		j.mu.Unlock()
		if err := syncData(file); err != nil {
			logError(err)
		}
		last = time.Now()
		for _, each := range batch {
			each.done()
		}
	}
}
