package main

import (
	"encoding/json"
	"strings"
	"testing"
)

const wholeArm = `{"id":"a","session":"s","at":1.5,"argv":["sh"],"env":{"A":"1"},"workingDir":"/","graceMs":1,
	"outputLimit":9,"fenced":true,"user":null,"unknown":{"is":"ignored"},"stdin":"aGk=","deadlineMs":0,
	"tty":{"columns":80,"rows":24},"resources":{"pids":3},"mark":"RUN=a","labels":{"x":"y"}}`

func TestAnOrderIsTakenWithItsKnownFields(t *testing.T) {
	order, refused := parseArm(json.RawMessage(wholeArm))
	if refused != nil {
		t.Fatal(refused)
	}
	if order.at != 1.5 || string(order.stdin) != "hi" || order.tty.Rows != 24 || order.resources.Pids != 3 || order.deadlineMs != 0 {
		t.Fatalf("%+v", order)
	}
	bare, refused := parseArm(json.RawMessage(`{"id":"a","session":"s","at":0,"argv":["sh"],"env":{},"workingDir":"/","graceMs":0,"outputLimit":0,"fenced":false}`))
	if refused != nil || bare.deadlineMs >= 0 || bare.stdin != nil || bare.tty != nil || bare.resources != nil {
		t.Fatalf("%+v %v", bare, refused)
	}
}

func TestAnOrderThatIsMalformedIsRefusedWithTheFieldsName(t *testing.T) {
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
		_, refused := parseArm(json.RawMessage(strings.Replace(wholeArm, wrong[0], wrong[1], 1)))
		if refused == nil || refused.reason != "Invalid" || !strings.HasPrefix(refused.message, field+" ") {
			t.Errorf("%s: %+v", field, refused)
		}
	}
}
