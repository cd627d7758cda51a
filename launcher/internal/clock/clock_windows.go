package clock

import (
	"strconv"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

// BoottimeMs is GetTickCount64: nobody sets it, and it includes the time that the machine sleeps.
func BoottimeMs() float64 {
	return float64(windows.DurationSinceBoot()) / float64(time.Millisecond)
}

// BootID differs after each boot; empty if Windows does not count its boots.
func BootID() string {
	const path = `SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management\PrefetchParameters`
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, path, registry.QUERY_VALUE)
	if err != nil {
		return ""
	}
	defer key.Close()
	count, _, err := key.GetIntegerValue("BootId")
	if err != nil {
		return ""
	}
	return strconv.FormatUint(count, 10)
}
