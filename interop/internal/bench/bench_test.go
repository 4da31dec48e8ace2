package bench

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pinstate-interop/internal/cluster"
	"pinstate-interop/internal/pingen"
)

func TestMain(m *testing.M) {
	cluster.Quiet()
	os.Exit(m.Run())
}

// More pins than one batch holds, so that a batch is committed and another opened.
const testPins = batchSize + 200

func newBench(t *testing.T, file string) *Bench {
	t.Helper()
	dir := t.TempDir()
	if err := (pingen.Set{Seed: 1, Profile: pingen.Plain, N: testPins}).Write(dir, []string{"export", "values"}); err != nil {
		t.Fatal(err)
	}
	b, err := New(filepath.Join(dir, file), dir)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Every operation sees every pin on every backend, and twice.
func TestEveryOperation(t *testing.T) {
	b := newBench(t, "export.ndjson")
	var requests strings.Builder
	for _, backend := range cluster.Backends {
		for _, op := range Operations() {
			requests.WriteString(op + " " + backend + "\n" + op + " " + backend + "\n")
		}
	}
	var out bytes.Buffer
	if err := b.Serve(strings.NewReader(requests.String()), &out); err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(&out)
	for range 2 * len(cluster.Backends) * len(Operations()) {
		var r Result
		if err := dec.Decode(&r); err != nil {
			t.Fatal(err)
		}
		want := testPins
		if r.Op == "get1" {
			want = 1
		}
		if r.Error != "" || r.N != want || r.Seconds <= 0 {
			t.Errorf("got %+v, want %d pins", r, want)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(b.dir); !os.IsNotExist(err) {
		t.Errorf("%s is left over", b.dir)
	}
}

// Both kinds of pins files give the same bytes to import.
func TestFilesAgree(t *testing.T) {
	a, b := newBench(t, "export.ndjson"), newBench(t, "values.jsonl")
	if !bytes.Equal(a.ndjson, b.ndjson) {
		t.Error("the export and the values file give different NDJSON")
	}
	if len(a.snapshot) != len(b.snapshot) {
		t.Error("the export and the values file give different snapshots")
	}
}

func TestBadRequests(t *testing.T) {
	b := newBench(t, "export.ndjson")
	var out bytes.Buffer
	if err := b.Serve(strings.NewReader("\nlist\nlist nowhere\nfly inmem\n"), &out); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"want OP BACKEND", "unknown backend", "unknown operation"} {
		line, err := out.ReadString('\n')
		if err != nil || !strings.Contains(line, part) {
			t.Errorf("got %q, %v, want %q", line, err, part)
		}
	}
}
