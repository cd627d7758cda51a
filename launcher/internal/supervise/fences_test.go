//go:build !without_drop && !without_kill

package supervise

import (
	"math"
	"testing"

	"shellcron.dev/launcher/internal/clock"
	"shellcron.dev/launcher/internal/wire"
)

func TestANormalBuildHasBothRulesOfTheFence(t *testing.T) {
	if !dropsArmed || fenceGraceMs(&wire.Arm{GraceMs: 30_000}) != 0 {
		t.Error("a rule is off")
	}
}

func TestOnlyTheSessionOfTheLatestFenceMayArmAndOnlyBeforeItsTime(t *testing.T) {
	f, err := newFences()
	if err != nil {
		t.Fatal(err)
	}
	expect := func(session, reason string) {
		t.Helper()
		got := f.refusal(session)
		if reason == "" && got != nil || reason != "" && (got == nil || got.Reason != reason) {
			t.Errorf("%s: %v", session, got)
		}
	}
	expect("a", "WrongSession")
	f.set("a", math.Inf(1))
	expect("a", "")
	f.set("b", clock.BoottimeMs()-1)
	expect("a", "WrongSession")
	expect("b", "Fenced")
	f.set("b", math.Inf(1))
	expect("b", "")
	if f.isOver("a") {
		t.Error("the older fence has changed")
	}
	f.keep(func(string) bool { return false })
	if f.areSeveral() || f.isOver("b") {
		t.Error(f.until)
	}
}
