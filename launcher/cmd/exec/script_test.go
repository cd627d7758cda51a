//go:build linux

package main

import (
	"bytes"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"shellcron.dev/launcher/internal/wire"
)

// everyByte holds every byte that a variable can hold.
func everyByte() string {
	var all []byte
	for n := 255; n > 0; n-- {
		all = append(all, byte(n))
	}
	return "\n" + string(all) + "'\n\n"
}

// runBootstrap runs the bootstrap in a shell with this input. It returns up to three lines of its output, and the rest.
func runBootstrap(t *testing.T, shell string, asked *request, input string) (lines []string, rest string) {
	t.Helper()
	command := exec.Command(shell, "-c", bootstrap, "word")
	command.Stdin = strings.NewReader(input)
	output, _ := command.Output()
	lines = strings.SplitN(string(output), "\n", 4)
	if len(lines) < 4 {
		return lines, ""
	}
	return lines[:3], lines[3]
}

func TestEveryShellTakesEveryByte(t *testing.T) {
	for _, shell := range []string{"dash", "bash", "busybox"} {
		path, err := exec.LookPath(shell)
		if err != nil {
			continue
		}
		asked := &request{
			Shell: []string{"/bin/sh", "-c"}, Script: `printf %s "$ALL"; test -z "$__shc$__shl" && cat`, WorkingDir: "/",
			Env: map[string]string{"ALL": everyByte(), "UID": "7"},
		}
		if shell == "busybox" {
			path = link(t, path)
		}
		lines, rest := runBootstrap(t, path, asked, payload(asked, "word")+"\n")
		if len(lines) != 3 || lines[1] != "word read" || lines[2] != "word go" || rest != everyByte() {
			t.Errorf("%s: %q %q", shell, lines, rest)
		}
	}
}

func TestAnInterpreterReadsItsScriptFromADescriptor(t *testing.T) {
	long := strings.Repeat("# "+strings.Repeat("longer than a pipe", 500)+"\n", 8)
	script := "#!/bin/bash -e\n" + long + "echo \"$1 $# ${BASH_VERSION:+bash}\"\nwc -c </dev/stdin\nfalse\necho not"
	for _, shell := range []string{"dash", "bash"} {
		path, err := exec.LookPath(shell)
		if err != nil {
			continue
		}
		for _, size := range []*wire.WindowSize{nil, {Columns: 80, Rows: 24}} {
			asked := &request{Shell: []string{"/bin/bash", "-e"}, Script: script, ScriptIsFile: true, WorkingDir: "/", TTY: size}
			input := payload(asked, "word") + "\n"
			if asked.sendsScript() {
				input += script
			}
			lines, rest := runBootstrap(t, path, asked, input)
			if len(lines) != 3 || lines[2] != "word go" || rest != " 0 bash\n0\n" {
				t.Errorf("%s %v: %q %q", shell, size, lines, rest)
			}
		}
	}
}

func link(t *testing.T, program string) string {
	path := t.TempDir() + "/sh"
	if err := exec.Command("ln", "-s", program, path).Run(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAScriptThatIsCutShortRunsNothing(t *testing.T) {
	asked := &request{Shell: []string{"/bin/sh", "-c"}, Script: "echo ran", WorkingDir: "/"}
	whole := payload(asked, "word")
	for _, input := range []string{"", whole[:len(whole)-3], whole} {
		if lines, rest := runBootstrap(t, "/bin/sh", asked, input); strings.Contains(rest+strings.Join(lines, " "), "ran") {
			t.Errorf("%q ran", input)
		}
	}
}

func TestAMissingDirectoryOrShellIsReported(t *testing.T) {
	for _, each := range []struct {
		asked request
		want  string
	}{
		{request{Shell: []string{"/bin/sh"}, WorkingDir: "/no such"}, saysNoDirectory},
		{request{Shell: []string{"/bin/no such"}, WorkingDir: "/"}, saysNoShell},
		{request{Shell: []string{"no-such"}, WorkingDir: "/"}, saysNoShell},
		{request{Shell: []string{"/tmp"}, WorkingDir: "/"}, saysNoShell},
	} {
		if lines, _ := runBootstrap(t, "/bin/sh", &each.asked, payload(&each.asked, "word")+"\n"); lines[2] != "word "+each.want {
			t.Errorf("%v: %q", each.asked, lines)
		}
	}
}

func TestSelectorsMatchAsInKubernetes(t *testing.T) {
	labels := map[string]string{"app": "web", "tier": "front"}
	for _, each := range []struct {
		selector selector
		matches  bool
	}{
		{selector{}, true},
		{selector{MatchLabels: map[string]string{"app": "web"}}, true},
		{selector{MatchLabels: map[string]string{"app": "db"}}, false},
		{selector{MatchExpressions: []expression{{"app", "In", []string{"db", "web"}}}}, true},
		{selector{MatchExpressions: []expression{{"zone", "In", []string{""}}}}, false},
		{selector{MatchExpressions: []expression{{"zone", "NotIn", []string{"a"}}}}, true},
		{selector{MatchExpressions: []expression{{"app", "NotIn", []string{"web"}}}}, false},
		{selector{MatchExpressions: []expression{{"app", "Exists", nil}, {"zone", "DoesNotExist", nil}}}, true},
		{selector{MatchExpressions: []expression{{"app", "Like", []string{"web"}}}}, false},
	} {
		if got := each.selector.matches(labels); got != each.matches {
			t.Errorf("%v: %v", each.selector, got)
		}
	}
}

func TestTheOldestThatRunsIsChosen(t *testing.T) {
	found := []container{{id: "c", created: 3, isRunning: true}, {id: "a", created: 1}, {id: "b", created: 3, isRunning: true}}
	one, _ := choose(found, &request{Pick: "One"}, nil)
	each, _ := choose(found, &request{Pick: "Each"}, nil)
	if len(one) != 1 || one[0].id != "b" || len(each) != 2 {
		t.Errorf("%v %v", one, each)
	}
	if _, err := choose(found[1:2], &request{}, nil); failureOf(err).reason != containerNotRunning {
		t.Error(err)
	}
	if _, err := choose(nil, &request{}, nil); failureOf(err).reason != containerNotFound {
		t.Error(err)
	}
}

func TestLinesNameTheirContainer(t *testing.T) {
	var out bytes.Buffer
	p := &prefixed{to: &out, prefix: "a | ", mu: &sync.Mutex{}}
	for _, piece := range []string{"on", "e\n\ntw", "o"} {
		_, _ = p.Write([]byte(piece))
	}
	flush(p)
	if out.String() != "a | one\na | \na | two\n" {
		t.Errorf("%q", out.String())
	}
}

func TestTheFirstFailureGivesCodeAndReason(t *testing.T) {
	asked := &request{Pick: "Each", SuccessExitCodes: []int{0, 3}}
	results := []result{
		{container: container{name: "a"}, code: 3},
		{container: container{name: "b"}, code: 4},
		{container: container{name: "c"}, code: exitFailed, failure: failed(containerGone, "gone")},
	}
	got := summary(asked, results)
	if got.code != 4 || got.Reason != "" || got.Message != "failed in 2 of 3 containers: b: exit code 4, c: ContainerGone" {
		t.Errorf("%+v", got)
	}
	if got = summary(asked, results[2:]); got.Reason != containerGone {
		t.Errorf("%+v", got)
	}
	if got = summary(asked, results[:1]); got.code != 3 || got.Message != "" {
		t.Errorf("%+v", got)
	}
}
