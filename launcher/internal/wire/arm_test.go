package wire

import (
	"encoding/json"
	"strings"
	"testing"
)

const wholeArm = `{"id":"a","session":"s","at":1.5,"argv":["sh"],"env":{"A":"1"},"workingDir":"/","graceMs":1,
	"outputLimit":9,"fenced":true,"user":null,"unknown":{"is":"ignored"},"stdin":"aGk=","deadlineMs":0,
	"tty":{"columns":80,"rows":24},"resources":{"pids":3},"mark":"RUN=a","labels":{"x":"y"}}`

func TestARunToArmIsReadWithItsKnownFields(t *testing.T) {
	order, refused := ParseArm(json.RawMessage(wholeArm))
	if refused != nil {
		t.Fatal(refused)
	}
	if order.At != 1.5 || string(order.Stdin) != "hi" || order.TTY.Rows != 24 || order.Resources.Pids != 3 || order.DeadlineMs != 0 {
		t.Fatalf("%+v", order)
	}
	bare, refused := ParseArm(json.RawMessage(`{"id":"a","session":"s","at":0,"argv":["sh"],"env":{},"workingDir":"/","graceMs":0,"outputLimit":0,"fenced":false}`))
	if refused != nil || bare.DeadlineMs >= 0 || bare.Stdin != nil || bare.TTY != nil || bare.Resources != nil {
		t.Fatalf("%+v %v", bare, refused)
	}
}

func TestAMalformedRunIsRefusedWithTheNameOfTheField(t *testing.T) {
	for field, wrong := range map[string][2]string{
		"session":    {`"session":"s"`, `"session":""`},
		"at":         {`"at":1.5`, `"at":"now"`},
		"argv":       {`"argv":["sh"]`, `"argv":[]`},
		"env":        {`"A":"1"`, `"A=B":"1"`},
		"workingDir": {`"workingDir":"/"`, `"workingDir":null`},
		"user":       {`"user":null`, `"user":""`},
		"graceMs":    {`"graceMs":1`, `"graceMs":-1`},
		"fenced":     {`"fenced":true`, `"Fenced":true`},
		"stdin":      {`"aGk="`, `"???"`},
		"tty":        {`"rows":24`, `"rows":0`},
		"resources":  {`{"pids":3}`, `[]`},
		"mark":       {`RUN=a`, `=a`},
		"labels":     {`"x":"y"`, `"x":"\u0000"`},
	} {
		_, refused := ParseArm(json.RawMessage(strings.Replace(wholeArm, wrong[0], wrong[1], 1)))
		if refused == nil || refused.Reason != "Invalid" || !strings.HasPrefix(refused.Message, field+" ") {
			t.Errorf("%s: %+v", field, refused)
		}
	}
}
