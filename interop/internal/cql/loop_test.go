package cql

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

func TestLoad(t *testing.T) {
	file := filepath.Join(t.TempDir(), "values.jsonl")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("{\"key_hex\":\"00ff\",\"value_hex\":\"0a\"}\n{\"key_hex\":\"01\",\"value_hex\":\"\"}\n")
	records, err := load(file)
	if err != nil || len(records) != 2 || !bytes.Equal(records[0].key, []byte{0, 0xff}) || len(records[1].value) != 0 {
		t.Errorf("got %v, %v", records, err)
	}
	for _, text := range []string{"", "{\"key_hex\":\"0\"}", "nothing"} {
		write(text)
		if _, err := load(file); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// Every record is worked on once, and one failure is the whole loop's.
func TestAll(t *testing.T) {
	loop := &Loop{records: make([]record, 1000), workers: 16}
	var seen [1000]atomic.Int32
	if err := loop.all(func(i int) error { seen[i].Add(1); return nil }); err != nil {
		t.Fatal(err)
	}
	for i := range seen {
		if n := seen[i].Load(); n != 1 {
			t.Errorf("record %d was worked on %d times", i, n)
		}
	}
	want := errors.New("no")
	if err := loop.all(func(i int) error {
		if i == 500 {
			return want
		}
		return nil
	}); !errors.Is(err, want) {
		t.Errorf("got %v", err)
	}
}

func TestBadRequests(t *testing.T) {
	var out bytes.Buffer
	if err := (&Loop{}).Serve(strings.NewReader("fly\n\nput\nput x\n"), &out); err != nil {
		t.Fatal(err)
	}
	for dec := json.NewDecoder(&out); dec.More(); {
		var r Result
		if err := dec.Decode(&r); err != nil || r.Error == "" {
			t.Errorf("got %+v, %v", r, err)
		}
	}
}
