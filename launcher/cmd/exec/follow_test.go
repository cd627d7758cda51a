//go:build linux

package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// endedSession is a session whose process has ended.
type endedSession struct {
	output, errors     *io.PipeReader
	toOutput, toErrors *io.PipeWriter
	code               int
}

func (s *endedSession) stdin() io.Writer   { return io.Discard }
func (s *endedSession) closeInput()        {}
func (s *endedSession) stdout() io.Reader  { return s.output }
func (s *endedSession) stderr() io.Reader  { return s.errors }
func (s *endedSession) wait() (int, error) { return s.code, nil }

// close looks like an end to the reader, as with SPDY.
func (s *endedSession) close() {
	_ = s.toOutput.Close()
	_ = s.toErrors.Close()
}

// slowWriter delays each write.
type slowWriter struct {
	bytes.Buffer
	each time.Duration
}

func (s *slowWriter) Write(data []byte) (int, error) {
	time.Sleep(s.each)
	return s.Buffer.Write(data)
}

// followed follows a command that has ended, whose output `write` writes. It also returns how long that took.
func followed(to io.Writer, how *endedSession, write func(stdout, stderr *io.PipeWriter)) (c *command, code int, err error, took time.Duration) {
	how.output, how.toOutput = io.Pipe()
	how.errors, how.toErrors = io.Pipe()
	c = &command{asked: &request{}, session: how, stdout: to, stderr: io.Discard, reader: bufio.NewReader(how.output), confined: &confinement{}}
	written := make(chan struct{})
	go func() {
		defer close(written)
		write(how.toOutput, how.toErrors)
	}()
	began := time.Now()
	code, err = c.follow(c.copyErrors())
	took = time.Since(began)
	<-written
	return c, code, err, took
}

func TestSlowOutputIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &slowWriter{each: time.Minute}
		c, code, err, _ := followed(to, &endedSession{code: 3}, func(stdout, stderr *io.PipeWriter) {
			_ = stderr.Close()
			for range 5 {
				_, _ = stdout.Write([]byte("x"))
			}
			_ = stdout.Close()
		})
		if to.String() != "xxxxx" || code != 3 || err != nil || c.missing != "" {
			t.Errorf("%q %d %v %q", to.String(), code, err, c.missing)
		}
	})
}

func TestARuntimeThatDoesNotEndTheOutputIsAbandonedAndThatIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &slowWriter{}
		c, code, err, took := followed(to, &endedSession{code: 3}, func(stdout, stderr *io.PipeWriter) {
			_ = stdout.Close()
			for {
				// A process that writes forever does not extend the wait.
				if _, err := stderr.Write([]byte("x")); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		})
		if took != endWithin || code != 3 || err != nil || !strings.Contains(c.missing, "may be missing") {
			t.Errorf("%v %d %v %q", took, code, err, c.missing)
		}
	})
}

func TestOutputThatBreaksOffIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, code, err, _ := followed(&slowWriter{}, &endedSession{}, func(stdout, stderr *io.PipeWriter) {
			_ = stdout.CloseWithError(errors.New("broken off"))
			_ = stderr.Close()
		})
		if code != 0 || err != nil || c.missing != "output may be missing: broken off" {
			t.Errorf("%d %v %q", code, err, c.missing)
		}
	})
}

func TestMissingOutputIsReportedBesideTheEnd(t *testing.T) {
	lost := result{container: container{name: "a"}, notes: "missing"}
	gone := result{container: container{name: "b"}, code: exitFailed, failure: failed(containerGone, "gone"), notes: "missing"}
	if got := toldOf(lost); got.code != 0 || got.Reason != "" || got.Message != "missing" {
		t.Errorf("%+v", got)
	}
	if got := toldOf(gone); got.Reason != containerGone || got.Message != "gone; missing" {
		t.Errorf("%+v", got)
	}
	if got := summary(&request{}, []result{{container: container{name: "c"}}, lost}); got.code != 0 || got.Message != "a: missing" {
		t.Errorf("%+v", got)
	}
	if got := summary(&request{}, []result{lost, gone}); got.Message != "failed in 1 of 2 containers: b: ContainerGone; a: missing; b: missing" {
		t.Errorf("%+v", got)
	}
}
