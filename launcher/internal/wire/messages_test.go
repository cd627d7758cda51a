package wire

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// The example messages, which the agent's tests also read. Both sides must know every message and every field of them.
type exampleMessages struct {
	ToLauncher   []json.RawMessage `json:"toLauncher"`
	FromLauncher []json.RawMessage `json:"fromLauncher"`
}

func readExamples(t *testing.T) exampleMessages {
	t.Helper()
	content, err := os.ReadFile("../../testdata/messages.json")
	if err != nil {
		t.Fatal(err)
	}
	var examples exampleMessages
	decodeStrictly(t, content, &examples)
	return examples
}

// decodeStrictly fails on a field that the value does not have.
func decodeStrictly(t *testing.T, raw []byte, to any) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(to); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
}

func TestEveryExampleToTheLauncherIsDecodedWhole(t *testing.T) {
	var seen, armed map[string]bool = map[string]bool{}, map[string]bool{}
	types := map[string]bool{}
	for _, raw := range readExamples(t).ToLauncher {
		var said Message
		decodeStrictly(t, raw, &said)
		types[said.Type] = true
		addFields(t, raw, seen)
		for _, run := range said.Runs {
			addFields(t, run, armed)
			if _, refused := ParseArm(run); refused != nil {
				t.Errorf("%s: %s", run, refused.Message)
			}
			var nested struct {
				TTY       WindowSize `json:"tty"`
				Resources Resources  `json:"resources"`
			}
			for name, to := range map[string]any{"tty": &nested.TTY, "resources": &nested.Resources} {
				if value, there := fieldsOf(t, run)[name]; there {
					decodeStrictly(t, value, to)
				}
			}
		}
	}
	expectNames(t, "message fields", seen, jsonNames(reflect.TypeFor[Message]()))
	var names []string
	for _, field := range armFields {
		names = append(names, field.name)
	}
	expectNames(t, "run fields", armed, names)
	expectNames(t, "message types", types, []string{"hello", "arm", "cancel", "kill", "fence", "forget", "runs", "read", "stop"})
}

func TestEveryExampleFromTheLauncherIsEncodedAlike(t *testing.T) {
	types := map[string]bool{}
	seen := map[reflect.Type]map[string]bool{}
	decode := func(raw []byte, to any) any {
		decodeStrictly(t, raw, to)
		addTypedFields(t, raw, reflect.TypeOf(to).Elem(), seen)
		return to
	}
	for _, raw := range readExamples(t).FromLauncher {
		var kind struct{ Type string }
		if err := json.Unmarshal(raw, &kind); err != nil {
			t.Fatal(err)
		}
		types[kind.Type] = true
		expectSameJSON(t, raw, encodeExample(t, kind.Type, raw, decode))
	}
	for of, names := range seen {
		expectNames(t, of.Name(), names, jsonNames(of))
	}
	expectNames(t, "message types", types,
		[]string{"hello", "armed", "refused", "started", "ended", "unknown", "runs", "read", "replaced"})
}

// encodeExample decodes a message into the struct of its type and returns what the launcher sends for that struct.
func encodeExample(t *testing.T, kind string, raw []byte, decode func([]byte, any) any) []byte {
	t.Helper()
	record := func(raw json.RawMessage) json.RawMessage {
		return decode(raw, &ExitRecord{}).(*ExitRecord).Encode()
	}
	var value any
	switch kind {
	case "hello":
		value = decode(raw, &Hello{})
	case "armed", "unknown", "replaced":
		value = decode(raw, &Event{})
	case "refused":
		value = decode(raw, &Refused{})
	case "started":
		value = decode(raw, &Started{})
	case "ended":
		ended := decode(raw, &Ended{}).(*Ended)
		ended.Record = record(ended.Record)
		value = ended
	case "runs":
		answer := decode(raw, &RunsAnswer{}).(*RunsAnswer)
		for n, each := range answer.Runs {
			info := decode(each, &RunInfo{}).(*RunInfo)
			if info.Record != nil {
				info.Record = record(info.Record)
			}
			answer.Runs[n], _ = json.Marshal(info)
		}
		value = answer
	case "read":
		var answer struct {
			Type  string
			Seq   float64
			Data  []byte
			Next  int64
			End   bool
			Error string
		}
		decodeStrictly(t, raw, &answer)
		return ReadAnswer{answer.Seq, answer.Data, answer.Next, answer.End, answer.Error}.Encode()[frameHeaderBytes:]
	default:
		t.Fatalf("unknown type %q", kind)
	}
	frame, err := Encode(value)
	if err != nil {
		t.Fatal(err)
	}
	return frame[frameHeaderBytes:]
}

func fieldsOf(t *testing.T, raw []byte) map[string]json.RawMessage {
	t.Helper()
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		t.Fatal(err)
	}
	return fields
}

func addFields(t *testing.T, raw []byte, to map[string]bool) {
	t.Helper()
	for name := range fieldsOf(t, raw) {
		to[name] = true
	}
}

// addTypedFields notes which fields of a struct, and of the structs in it, the examples use.
func addTypedFields(t *testing.T, raw []byte, of reflect.Type, seen map[reflect.Type]map[string]bool) {
	t.Helper()
	for of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	if of.Kind() != reflect.Struct || string(raw) == "null" {
		return
	}
	if seen[of] == nil {
		seen[of] = map[string]bool{}
	}
	addFields(t, raw, seen[of])
	fields := fieldsOf(t, raw)
	for _, field := range reflect.VisibleFields(of) {
		if value, there := fields[jsonName(field)]; there {
			addTypedFields(t, value, field.Type, seen)
		}
	}
}

func jsonName(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return name
}

func jsonNames(of reflect.Type) []string {
	var names []string
	for _, field := range reflect.VisibleFields(of) {
		if !field.Anonymous {
			names = append(names, jsonName(field))
		}
	}
	return names
}

func expectNames(t *testing.T, what string, seen map[string]bool, want []string) {
	t.Helper()
	for _, name := range want {
		if !seen[name] {
			t.Errorf("%s: no example uses %s", what, name)
		}
	}
	for name := range seen {
		if !slices.Contains(want, name) {
			t.Errorf("%s: %s is not known here", what, name)
		}
	}
}

func expectSameJSON(t *testing.T, want, got []byte) {
	t.Helper()
	var wanted, given any
	if err := json.Unmarshal(want, &wanted); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(got, &given); err != nil {
		t.Fatalf("%s: %v", got, err)
	}
	if !reflect.DeepEqual(wanted, given) {
		t.Errorf("encoded %s\ninstead of %s", got, want)
	}
}
