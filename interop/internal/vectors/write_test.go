package vectors

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"pinstate-interop/internal/check"
	"pinstate-interop/internal/cluster"
)

func TestMain(m *testing.M) {
	cluster.Quiet()
	os.Exit(m.Run())
}

// The committed files must be what the generator makes: nobody edits them, and
// another Go toolchain or time-zone database must not change them unseen.
func TestTestdataIsUpToDate(t *testing.T) {
	fresh, examples := t.TempDir(), t.TempDir()
	if err := Write(fresh, examples); err != nil {
		t.Fatal(err)
	}
	sameTree(t, fresh, filepath.Join("..", "..", "testdata"))
	sameTree(t, examples, filepath.Join("..", "..", "..", "examples"))
}

// sameTree compares every file of fresh with the committed one, and the raft
// folder in both directions, since its file names are generated too.
func sameTree(t *testing.T, fresh, committed string) {
	t.Helper()
	for _, name := range files(t, fresh) {
		want, err := os.ReadFile(filepath.Join(committed, name))
		if err != nil {
			t.Errorf("not committed: %v", err)
			continue
		}
		got, err := os.ReadFile(filepath.Join(fresh, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the generator makes; is `go run ./cmd/interop vectors` wanted?", filepath.Join(committed, name))
		}
	}
	if len(files(t, filepath.Join(fresh, "raft"))) != len(files(t, filepath.Join(committed, "raft"))) {
		t.Errorf("%s/raft holds other files than the generator makes", committed)
	}
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // a tree without a raft folder has no files there
		}
		name, err := filepath.Rel(dir, path)
		out = append(out, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The three forms of the sample are the same pins.
func TestSampleAgrees(t *testing.T) {
	dir := filepath.Join("..", "..", "testdata")
	for _, other := range []string{"sample.ndjson", "raft"} {
		n, err := check.States(filepath.Join(dir, other), filepath.Join(dir, "sample.snapshot"))
		if err != nil {
			t.Errorf("%s: %v", other, err)
		}
		if n != sampleSet.N {
			t.Errorf("%s holds %d pins, want %d", other, n, sampleSet.N)
		}
	}
}

// Vectors that disagree with the committed ones would be noticed above; this
// notices a whole group of cases that has gone missing.
func TestVectorsCoverBothOutcomes(t *testing.T) {
	pins, err := Pins()
	if err != nil {
		t.Fatal(err)
	}
	outcomes := map[string]int{}
	for _, v := range pins {
		switch {
		case v.DecodeError != nil:
			outcomes["undecodable"]++
		case v.JSONError != nil:
			outcomes["not exportable"]++
		case *v.Reencoded != v.Value:
			outcomes["written differently"]++
		default:
			outcomes["kept"]++
		}
		if v.TZ != "UTC" {
			outcomes["zoned"]++
		}
	}
	reader, err := Reader()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range reader {
		switch {
		case v.OK:
			outcomes["imported"]++
		case len(v.Stored) > 0:
			outcomes["imported in part"]++
		default:
			outcomes["refused"]++
		}
	}
	for name, least := range map[string]int{"undecodable": 200, "not exportable": 20, "written differently": 200, "kept": 200,
		"zoned": 80, "imported": 500, "imported in part": 40, "refused": 300} {
		if outcomes[name] < least {
			t.Errorf("%d vectors are %s, want at least %d", outcomes[name], name, least)
		}
	}
}

func TestMutatedIsReproducible(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	for _, dir := range []string{a, b} {
		if err := WriteMutated(dir, 50, 9); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(files(t, a)); n != 3 {
		t.Errorf("%d files, want 3", n)
	}
	sameTree(t, a, b)
}
