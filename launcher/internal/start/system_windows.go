package start

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"

	"shellcron.dev/launcher/internal/kill"
)

// What this system has. A job object could limit resources; this preview does not.
const (
	hasTerminals = false
	hasNotes     = false
	hasScripts   = false
	hasRusage    = false
	hasUsers     = false
)

// suffixes are those of programs.
var suffixes = []string{"", ".exe", ".com", ".cmd", ".bat"}

// defaultEnvironment has what programs of Windows do not start without.
func defaultEnvironment() map[string]string {
	all := map[string]string{}
	for _, name := range []string{"PATH", "SYSTEMROOT", "COMSPEC", "TEMP", "TMP"} {
		if value := os.Getenv(name); value != "" {
			all[name] = value
		}
	}
	return all
}

func isBadFormat(number syscall.Errno) bool { return number == windows.ERROR_BAD_EXE_FORMAT }

// openDevNull opens nothing: package stdio does it for each command.
func openDevNull() (int, error) { return -1, nil }

// RestrictThread does nothing: only Linux has no_new_privs.
func RestrictThread() error { return nil }

// attributes: the process is suspended until it is in its job, so that no child of it is outside.
func (c *Command) attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		HideWindow: true, CreationFlags: windows.CREATE_SUSPENDED | windows.CREATE_NEW_PROCESS_GROUP,
	}
}

func (c *Command) fork(file string, argv []string, attr *syscall.SysProcAttr) (kill.Child, error) {
	job, err := newJob()
	if err != nil {
		return kill.Child{}, err
	}
	process, err := os.StartProcess(file, argv, &os.ProcAttr{
		Dir: c.order.WorkingDir, Env: c.env, Files: c.streams.ChildFiles(), Sys: attr,
	})
	if err != nil {
		_ = windows.CloseHandle(job)
		return kill.Child{}, err
	}
	if err := resumeIn(job, process.Pid); err != nil {
		_ = process.Kill()
		_ = process.Release()
		_ = windows.CloseHandle(job)
		return kill.Child{}, err
	}
	return kill.Child{Pid: process.Pid, Process: process, Job: kill.NewJob(job)}, nil
}

// newJob makes a job whose processes die when the launcher closes it, or ends.
func newJob() (windows.Handle, error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return 0, os.NewSyscallError("CreateJobObject", err)
	}
	var limits windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION
	limits.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits)))
	if err != nil {
		_ = windows.CloseHandle(job)
		return 0, os.NewSyscallError("SetInformationJobObject", err)
	}
	return job, nil
}

// ntResumeProcess resumes all threads. The documented ResumeThread needs a handle of the thread, which package os does not keep.
var ntResumeProcess = windows.NewLazySystemDLL("ntdll.dll").NewProc("NtResumeProcess")

func resumeIn(job windows.Handle, pid int) error {
	const access = windows.PROCESS_SET_QUOTA | windows.PROCESS_TERMINATE | windows.PROCESS_SUSPEND_RESUME
	process, err := windows.OpenProcess(access, false, uint32(pid))
	if err != nil {
		return os.NewSyscallError("OpenProcess", err)
	}
	defer windows.CloseHandle(process)
	if err := windows.AssignProcessToJobObject(job, process); err != nil {
		return os.NewSyscallError("AssignProcessToJobObject", err)
	}
	if err := ntResumeProcess.Find(); err != nil {
		return err
	}
	if status, _, _ := ntResumeProcess.Call(uintptr(process)); status != 0 {
		return os.NewSyscallError("NtResumeProcess", windows.NTStatus(status))
	}
	return nil
}
