// The native launcher: starts, limits, fences, records and ends what the agent tells it to, and outlives the agent.
// ../protocol.md is what both sides keep to; ../node is the same in TypeScript, for machines without this one.
//
//	--state DIR      where its socket, journal, spools and lock lie; it must exist, and has one launcher
//	--die-with PID   kill all runs and end when this process is gone
//	--leave-group N  first leave the control groups it was born in for a group of this name below the root
//	--build ID       told in `hello`: which program this is to whoever started it
package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"
)

const (
	lookForParentEvery = 500 * time.Millisecond
	lookForLockEvery   = 20 * time.Millisecond
	lockWithin         = 10 * time.Second
	// usualUmask is what commands are born with, whatever whoever started us has.
	usualUmask = 0o022
)

func main() {
	stateDir := flag.String("state", "", "the state directory")
	dieWith := flag.Int("die-with", 0, "the process to end with")
	build := flag.String("build", "", "which program this is")
	leaveFor := flag.String("leave-group", "", "the control group to live in")
	flag.Parse()
	if *stateDir == "" {
		fmt.Fprintln(os.Stderr, "usage: launcher --state DIR [--die-with PID] [--leave-group NAME] [--build ID]")
		os.Exit(2)
	}
	beFrugal()
	closeInherited()
	unix.Umask(usualUmask)
	lock, err := lockState(*stateDir)
	if errors.Is(err, unix.EWOULDBLOCK) {
		logEvent(levelInfo, "launcher.alreadyRuns", fields{"stateDir": *stateDir})
		return
	}
	if err == nil && *leaveFor != "" {
		err = leaveGroups(*leaveFor)
	}
	if err == nil {
		err = serve(*stateDir, *build, *dieWith)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "launcher:", err)
		os.Exit(1)
	}
	runtime.KeepAlive(lock)
}

// lockState is EWOULDBLOCK if another launcher serves this directory. One that has closed its socket and not yet ended is waited
// for: nobody else would start the next.
func lockState(stateDir string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(stateDir, "launcher.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for until := time.Now().Add(lockWithin); ; time.Sleep(lookForLockEvery) {
		err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) || answers(stateDir) || time.Now().After(until) {
			return lock, err
		}
	}
}

// beFrugal: it holds little and for short, and is there on every machine. No SetMemoryLimit: it makes the collector run all the
// time in a burst, when nothing may be in the way.
func beFrugal() {
	runtime.GOMAXPROCS(min(runtime.NumCPU(), mostThreads))
	debug.SetGCPercent(50)
}

func serve(stateDir, build string, dieWith int) error {
	s, err := newSupervisor(stateDir)
	if err != nil {
		return err
	}
	broken = s.killAllNow
	guard(s.reaper.work)
	guard(s.killer.work)
	guard(s.journal.sync)
	guard(s.collector.work)
	left := settleLeftovers(s.journal, places{s.spoolDir, s.machine.notesDir}, s.boot, s.killer)
	for _, line := range left {
		s.admitLeft(line)
	}
	instance := s.boot + "/" + randomName()
	server, err := listen(stateDir, s)
	if err != nil {
		return err
	}
	server.instance, server.build = instance, build
	guard(s.watchFences)
	s.starter.work()
	guard(server.work)
	guard(func() { endOnSignals(s) })
	if dieWith != 0 {
		guard(func() { endWith(dieWith, s) })
	}
	logEvent(levelInfo, "launcher.ready", fields{"instance": instance, "left": len(left)})
	<-s.stopped
	s.killer.idle(killFor)
	server.close()
	s.machine.cgroups.removeBases()
	logEvent(levelInfo, "launcher.ended", nil)
	return nil
}

func newSupervisor(stateDir string) (*supervisor, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, os.NewSyscallError("prctl", err)
	}
	spoolDir := filepath.Join(stateDir, "spool")
	notesDir, err := filepath.Abs(filepath.Join(stateDir, "notes"))
	if err != nil {
		return nil, err
	}
	// Where that fails, whoever writes there makes it.
	_ = os.MkdirAll(spoolDir, 0o700)
	devNull, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("open /dev/null", err)
	}
	reaper := newReaper()
	s := &supervisor{
		machine: &machine{
			devNull: devNull, cgroups: findCgroups(stateDir), ask: askWith(reaper, devNull), notesDir: notesDir,
		},
		killer: newKiller(reaper), reaper: reaper, spoolDir: spoolDir, boot: bootID(), stopped: make(chan struct{}),
		entries: map[string]*entry{}, tell: func(any) {},
	}
	var failures [4]error
	s.journal, failures[0] = openJournal(filepath.Join(stateDir, "launcher.journal"))
	s.collector, failures[1] = newCollector()
	s.fences, failures[2] = newFences()
	s.starter, failures[3] = newStarter(s)
	s.killer.isBusy, s.journal.isBusy = s.starter.isBusy, s.starter.isBusy
	return s, errors.Join(failures[:]...)
}

// endOnSignals: the machine goes down, or somebody ends this process by hand: runs must not live on unwatched. The others are
// caught so that commands are not born with them ignored, as this process may have been.
func endOnSignals(s *supervisor) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGPIPE, unix.SIGUSR1, unix.SIGUSR2,
		unix.SIGALRM, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGWINCH)
	for received := range signals {
		if received == unix.SIGTERM || received == unix.SIGINT {
			logEvent(levelInfo, "launcher.signalled", fields{"signal": unix.SignalName(received.(unix.Signal))})
			s.stop(false)
		}
	}
}

// endWith looks for a process until it is gone.
func endWith(pid int, s *supervisor) {
	for first, _ := readProcess(pid, false); !hasGone(pid, first.ticks); {
		time.Sleep(lookForParentEvery)
	}
	s.stop(false)
}

func randomName() string {
	bytes := make([]byte, 8)
	_, _ = rand.Read(bytes)
	return hex.EncodeToString(bytes)
}
