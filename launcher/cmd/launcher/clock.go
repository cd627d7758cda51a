package main

import (
	"math"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// nowMs is the wall clock in whole Unix ms, rounded down: what is due at an instant never starts before it.
func nowMs() int64 { return time.Now().UnixMilli() }

// boottimeMs is CLOCK_BOOTTIME: never stepped, and goes on while the machine is suspended.
func boottimeMs() float64 {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &now)
	return float64(now.Nano()) / 1e6
}

func bootID() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id))
}

// ms as a duration, bounded where it would overflow (292 years).
func ms(duration float64) time.Duration {
	return time.Duration(math.Min(duration*1e6, math.MaxInt64))
}

// alarm rings at an instant of a clock, also when the clock was stepped or the machine slept: a timerfd, which costs no thread.
type alarm struct {
	fd   int
	file *os.File
}

// newAlarm takes CLOCK_REALTIME or CLOCK_BOOTTIME.
func newAlarm(clock int) (*alarm, error) {
	fd, err := unix.TimerfdCreate(clock, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	return &alarm{fd, os.NewFile(uintptr(fd), "timerfd")}, nil
}

// set replaces the instant, ms of the alarm's clock; infinity: never.
func (a *alarm) set(at float64) {
	var spec unix.ItimerSpec
	if !math.IsInf(at, 1) {
		// Zero would disarm it. Rounded up: it must not ring before.
		spec.Value = unix.NsecToTimespec(int64(math.Min(math.Max(math.Ceil(at*1e6), 1), math.MaxInt64)))
	}
	flags := unix.TFD_TIMER_ABSTIME | unix.TFD_TIMER_CANCEL_ON_SET
	_ = unix.TimerfdSettime(a.fd, flags, &spec, nil)
}

// wait returns when it rings, or when the clock was stepped: whoever waits looks at the clock himself.
func (a *alarm) wait() {
	var count [8]byte
	_, _ = a.file.Read(count[:])
}
