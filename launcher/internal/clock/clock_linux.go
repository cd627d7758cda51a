package clock

import (
	"math"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// BoottimeMs is CLOCK_BOOTTIME: nobody sets it, and it includes the time that the machine is suspended.
func BoottimeMs() float64 {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &now)
	return float64(now.Nano()) / 1e6
}

// BootID differs after each boot.
func BootID() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id))
}

// Alarm wakes at an instant of a clock, also if the clock was set or the machine was suspended. It is a timerfd, which costs no
// thread.
type Alarm struct {
	fd   int
	file *os.File
}

// NewWallAlarm returns an alarm on the wall clock.
func NewWallAlarm() (*Alarm, error) { return newAlarm(unix.CLOCK_REALTIME) }

// NewBoottimeAlarm returns an alarm on the boot clock.
func NewBoottimeAlarm() (*Alarm, error) { return newAlarm(unix.CLOCK_BOOTTIME) }

func newAlarm(clock int) (*Alarm, error) {
	fd, err := unix.TimerfdCreate(clock, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	return &Alarm{fd, os.NewFile(uintptr(fd), "timerfd")}, nil
}

// Set replaces the instant, in ms of the alarm's clock. Infinity is never.
func (a *Alarm) Set(at float64) {
	var spec unix.ItimerSpec
	if !math.IsInf(at, 1) {
		// Zero would disarm the timer. Rounded up: the alarm must not wake early.
		spec.Value = unix.NsecToTimespec(int64(math.Min(math.Max(math.Ceil(at*1e6), 1), math.MaxInt64)))
	}
	flags := unix.TFD_TIMER_ABSTIME | unix.TFD_TIMER_CANCEL_ON_SET
	_ = unix.TimerfdSettime(a.fd, flags, &spec, nil)
}

// Wait returns at the instant, or when the clock was set. The caller checks the clock.
func (a *Alarm) Wait() {
	var count [8]byte
	_, _ = a.file.Read(count[:])
}
