package start

import (
	"strings"
	"syscall"
	"testing"

	"shellcron.dev/launcher/internal/wire"
)

func TestACommandThatIsTooBigNamesItsLargestValue(t *testing.T) {
	order := &wire.Arm{
		Argv:       []string{"/bin/sh", "-c", "true"},
		Env:        map[string]string{"SMALL": "x", "LARGE": strings.Repeat("x", 200_000)},
		WorkingDir: "/",
	}
	failure := failureOf(syscall.E2BIG, order)
	if failure.Reason != "TooBig" || !strings.HasSuffix(failure.Message, ": variable LARGE has 200006 bytes") {
		t.Errorf("got %+v", failure)
	}
}
