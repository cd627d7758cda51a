package clock

import "golang.org/x/sys/unix"

// BoottimeMs is CLOCK_MONOTONIC: nobody sets it, and on darwin it includes the time that the machine sleeps.
func BoottimeMs() float64 {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	return float64(now.Nano()) / 1e6
}

// BootID differs after each boot.
func BootID() string {
	id, _ := unix.Sysctl("kern.bootsessionuuid")
	return id
}
