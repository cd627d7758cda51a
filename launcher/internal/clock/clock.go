// Package clock reads the wall clock and the boot clock, and wakes at an instant of either.
package clock

import (
	"math"
	"time"
)

// NowMs is the wall clock in whole Unix ms, rounded down: a run never starts before its instant.
func NowMs() int64 { return time.Now().UnixMilli() }

// Duration converts ms. Longer durations than fit (292 years) are cut.
func Duration(ms float64) time.Duration {
	return time.Duration(math.Min(ms*1e6, math.MaxInt64))
}
