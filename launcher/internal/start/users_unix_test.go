//go:build unix

package start

import "testing"

func TestANameIsPreferredToANumber(t *testing.T) {
	lines := []string{"broken", "daemon:x:1:1::/usr/sbin:", "1:x:5:6::/home/1:/bin/bash", ""}
	if account := accountIn(lines, "1"); account == nil || account.uid != 5 || account.gid != 6 {
		t.Errorf("%+v", account)
	}
	if account := accountIn(lines, "5"); account == nil || account.name != "1" {
		t.Errorf("%+v", account)
	}
	if account := accountIn(lines, "daemon"); account == nil || account.shell != "/bin/sh" {
		t.Errorf("%+v", account)
	}
	if account := accountIn(lines, "nobody"); account != nil {
		t.Errorf("%+v", account)
	}
}

func TestANameServiceIsAskedForUsersThatTheFilesDoNotKnow(t *testing.T) {
	answers := map[string][]string{
		"passwd far-away": {"far-away:x:90001:90002::/home/far:/bin/zsh"},
		"-G far-away":     {"90002 90003 90004"},
	}
	asked := func(_ string, args ...string) []string { return answers[args[0]+" "+args[1]] }
	if !NeedsNameService("far-away", "") {
		t.Skip("this machine has such a user")
	}
	identity, failure := identityOf("far-away", "", asked)
	if failure != nil && failure.Reason == "NotPermitted" {
		t.Skip("only root can run commands as another user")
	}
	if failure != nil || identity.uid != 90001 || identity.gid != 90002 || len(identity.groups) != 3 || identity.account.home != "/home/far" {
		t.Fatalf("%+v %+v", identity, failure)
	}
	if _, failure := identityOf("nobody-at-all", "", asked); failure == nil || failure.Reason != "NoSuchUser" {
		t.Fatalf("%+v", failure)
	}
	if _, failure := identityOf("", "no-such-group", asked); failure == nil || failure.Reason != "NoSuchGroup" {
		t.Fatalf("%+v", failure)
	}
}
