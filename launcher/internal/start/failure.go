package start

import (
	"errors"
	"os"
	"strconv"
	"syscall"

	"shellcron.dev/launcher/internal/wire"
)

// Failure is why a command did not start.
type Failure struct {
	Reason, Message string
	// Code is what a shell would have exited with; 0 for none.
	Code int
}

func noResources(err error) *Failure { return &Failure{Reason: "NoResources", Message: err.Error()} }

// largest names the longest argument or variable.
func largest(order *wire.Arm) string {
	name, size := "", -1
	for i, argument := range order.Argv {
		if len(argument) > size {
			name, size = "argument "+strconv.Itoa(i), len(argument)
		}
	}
	for variable, value := range order.Env {
		if length := len(variable) + 1 + len(value); length > size {
			name, size = "variable "+variable, length
		}
	}
	return name + " has " + strconv.Itoa(size) + " bytes"
}

// failureOf explains the error of a fork or exec. ENOENT may mean the program or the working directory.
func failureOf(err error, order *wire.Arm) *Failure {
	if info, statErr := os.Stat(order.WorkingDir); statErr != nil || !info.IsDir() {
		return &Failure{Reason: "NoSuchDirectory", Message: order.WorkingDir + " is not a directory"}
	}
	program := order.Argv[0]
	var number syscall.Errno
	errors.As(err, &number)
	switch {
	case errors.Is(number, os.ErrNotExist) || number == syscall.ENOTDIR:
		return &Failure{"NotFound", program + " was not found", 127}
	case number == syscall.EPERM:
		return &Failure{"NotPermitted", err.Error(), 126}
	case errors.Is(number, os.ErrPermission):
		message := "no permission to execute " + program + " or to enter " + order.WorkingDir
		return &Failure{"NotExecutable", message, 126}
	case isBadFormat(number):
		return &Failure{"NotExecutable", program + " has no format that can be executed", 126}
	case number == syscall.E2BIG:
		return &Failure{"TooBig", "arguments and environment are longer than the system allows: " + largest(order), 126}
	default:
		return noResources(err)
	}
}
