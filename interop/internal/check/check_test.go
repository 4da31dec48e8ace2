package check

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pinstate-interop/internal/cluster"
)

func TestMain(m *testing.M) {
	cluster.Quiet()
	os.Exit(m.Run())
}

func sample(t *testing.T, name string) (string, []byte) {
	t.Helper()
	path := filepath.Join("..", "..", "testdata", name)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, content
}

func write(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "changed")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// wantDifference fails where a check overlooked a change.
func wantDifference(t *testing.T, name, part string, err error) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("%s: got %v, want a difference with %q", name, err, part)
	}
}

func TestNDJSON(t *testing.T) {
	path, content := sample(t, "sample.ndjson")
	lines := bytes.SplitAfter(content, []byte("\n"))
	lines = lines[:len(lines)-1]

	reversed := make([][]byte, 0, len(lines))
	for i := range lines {
		reversed = append(reversed, lines[len(lines)-1-i])
	}
	if n, err := NDJSON(path, write(t, bytes.Join(reversed, nil))); err != nil || n != len(lines) {
		t.Errorf("another order: %d lines, %v", n, err)
	}
	_, err := NDJSON(path, write(t, bytes.Join(lines[1:], nil)))
	wantDifference(t, "a line missing", "only in "+path, err)
	_, err = NDJSON(path, write(t, append(bytes.Clone(content), lines[0]...)))
	wantDifference(t, "a line twice", "only in", err)
	spaced := bytes.Replace(content, []byte(`"shard_size":`), []byte(`"shard_size": `), 1)
	_, err = NDJSON(write(t, spaced), write(t, spaced))
	wantDifference(t, "a line that Go would not write", "comes back as", err)
	broken := bytes.Replace(content, []byte(`"type":"`), []byte(`"type":7,"x":"`), 1)
	_, err = NDJSON(write(t, broken), write(t, broken))
	wantDifference(t, "a line that Go refuses", "refused by ipfs-cluster", err)
	_, err = NDJSON(path, write(t, content[:len(content)-1]))
	wantDifference(t, "no final newline", "has no newline", err)
}

func TestStates(t *testing.T) {
	path, content := sample(t, "sample.snapshot")
	if n, err := States(path, path); err != nil || n == 0 {
		t.Errorf("the same: %d, %v", n, err)
	}
	_, err := States(path, write(t, content[:len(content)-1]))
	wantDifference(t, "cut short, which Go reads without an error", "only in "+path, err)
	_, err = States(write(t, nil), path)
	wantDifference(t, "empty", "and 290 more", err)
	changed := bytes.Clone(content)
	changed[len(changed)-1] ^= 1
	_, err = States(path, write(t, changed))
	wantDifference(t, "one bit", "value", err)
}

func TestRaftChecksum(t *testing.T) {
	path, _ := sample(t, filepath.Join("raft", "snapshots", "1-2-1718452800000", "state.bin"))
	dir := filepath.Join(t.TempDir(), "raft")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("..", "..", "testdata", "raft"))); err != nil {
		t.Fatal(err)
	}
	if _, err := States(dir, path); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(dir, "snapshots", "1-2-1718452800000", "state.bin")
	content, err := os.ReadFile(state)
	if err != nil {
		t.Fatal(err)
	}
	content[50] ^= 1
	if err := os.WriteFile(state, content, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = States(dir, path)
	wantDifference(t, "one bit of state.bin", "CRC mismatch", err)
	_, err = States(t.TempDir(), path)
	wantDifference(t, "no raft folder", "no raft snapshots", err)
}

func TestValues(t *testing.T) {
	for _, c := range []struct{ name, line, part string }{
		{"undecodable", `{"key_hex":"","value_hex":"ff"}`, "refused by ipfs-cluster"},
		{"not canonical", `{"key_hex":"","value_hex":"10003200"}`, "comes back as 3200"},
		{"another key", `{"key_hex":"01550000","value_hex":"3200"}`, "the key is 01550000"},
		{"bad hex", `{"key_hex":"","value_hex":"3"}`, "value_hex"},
		{"no JSON", `nonsense`, "line 1"},
	} {
		_, err := Values(write(t, []byte(c.line+"\n")))
		wantDifference(t, c.name, c.part, err)
	}
	if n, err := Values(write(t, []byte(`{"key_hex":"01550000","value_hex":"0a04015500003200"}`+"\n"))); err != nil || n != 1 {
		t.Errorf("a good value: %d, %v", n, err)
	}
}
