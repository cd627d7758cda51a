//go:build !linux

// Package cgroup makes, limits and kills control groups of Linux. Other systems have none: a Hierarchy there makes nil Groups.
package cgroup

import (
	"errors"
	"syscall"

	"shellcron.dev/launcher/internal/wire"
)

// Hierarchy has no groups.
type Hierarchy struct{}

// NewHierarchy returns an empty hierarchy.
func NewHierarchy(string, int) *Hierarchy { return &Hierarchy{} }

func (*Hierarchy) CanLimit() bool { return false }
func (*Hierarchy) KillAll()       {}
func (*Hierarchy) Remove()        {}

// Make returns no group.
func (*Hierarchy) Make(*wire.Resources) (*Group, error) { return nil, nil }

// Group is always nil.
type Group struct{}

// Left returns no group.
func Left(string) *Group { return nil }

func (*Group) Path() string                               { return "" }
func (*Group) Enter(*syscall.SysProcAttr) (func(), error) { return func() {}, nil }
func (*Group) LimitAfterStart()                           {}
func (*Group) WasOOM() *bool                              { return nil }
func (*Group) WasPidsRefused() bool                       { return false }
func (*Group) IsEmpty() bool                              { return false }
func (*Group) IsVacant() bool                             { return false }
func (*Group) Pids() []int                                { return nil }
func (*Group) Kill()                                      {}
func (*Group) Leave()                                     {}
func (*Group) Release()                                   {}
func (*Group) IsReleased() bool                           { return false }
func (*Group) Remove() bool                               { return true }

func Kill(string)        {}
func WasLeft(int) bool   { return false }
func Pids(string) []int  { return nil }
func Remove(string) bool { return true }

// MoveBelowRoot fails.
func MoveBelowRoot(string) error { return errors.New("this system has no control groups to leave") }
