package pingen

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"pinstate-interop/internal/check"
	"pinstate-interop/internal/cluster"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

func TestMain(m *testing.M) {
	cluster.Quiet()
	os.Exit(m.Run())
}

func collect(t *testing.T, s Set) (keys map[string]bool, values [][]byte, pins []api.Pin) {
	t.Helper()
	keys = map[string]bool{}
	err := s.Each(func(p api.Pin, value []byte) error {
		keys[p.Cid.KeyString()] = true
		values, pins = append(values, value), append(pins, p)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys, values, pins
}

func TestSameSeedSamePins(t *testing.T) {
	for _, profile := range []Profile{Rich, Plain} {
		_, a, _ := collect(t, Set{Seed: 5, Profile: profile, N: 500})
		_, b, _ := collect(t, Set{Seed: 5, Profile: profile, N: 500})
		_, c, _ := collect(t, Set{Seed: 6, Profile: profile, N: 500})
		if !bytes.Equal(bytes.Join(a, nil), bytes.Join(b, nil)) {
			t.Errorf("%s: one seed gave two sets", profile)
		}
		if bytes.Equal(a[0], c[0]) {
			t.Errorf("%s: two seeds gave the same pin", profile)
		}
	}
}

func TestUnknownProfile(t *testing.T) {
	if _, err := New(1, "odd"); err == nil {
		t.Error("an unknown profile was accepted")
	}
}

// A pin of the plain profile is what the benchmarks say it is.
func TestPlainShape(t *testing.T) {
	keys, values, _ := collect(t, Set{Seed: 1, Profile: Plain, N: 2000})
	if len(keys) != 2000 {
		t.Fatalf("%d different CIDs in 2000 pins", len(keys))
	}
	total := 0
	for _, value := range values {
		var p api.Pin
		if err := p.ProtoUnmarshal(value); err != nil {
			t.Fatal(err)
		}
		if len(p.Allocations) != 3 || len(p.Metadata) != 1 || p.Name == "" || p.MaxDepth != -1 || p.Type != api.DataType {
			t.Fatalf("not the benchmark's shape: %+v", p)
		}
		line, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		total += len(line)
	}
	if mean := total / len(values); mean < 545 || mean > 575 {
		t.Errorf("%d bytes of JSON a pin, want about 560", mean)
	}
}

// Rich pins have every feature, and nothing that ipfs-cluster loses or refuses.
func TestRichCoversFeatures(t *testing.T) {
	keys, values, pins := collect(t, Set{Seed: 1, Profile: Rich, N: 3000})
	if len(keys) != len(pins) {
		t.Errorf("%d different CIDs in %d pins", len(keys), len(pins))
	}
	seen := map[string]int{}
	has := func(feature string, is bool) {
		if is {
			seen[feature]++
		} else if _, known := seen[feature]; !known {
			seen[feature] = 0
		}
	}
	for i, p := range pins {
		var stored api.Pin
		if err := stored.ProtoUnmarshal(values[i]); err != nil {
			t.Fatal(err)
		}
		if _, err := json.Marshal(stored); err != nil {
			t.Fatal(err)
		}
		for _, typ := range []api.PinType{api.DataType, api.MetaType, api.ClusterDAGType, api.ShardType} {
			has(typ.String(), p.Type == typ)
		}
		has("v0", p.Cid.Version() == 0)
		has("direct", p.MaxDepth == 0)
		has("reference", p.Reference != nil)
		has("pin_update", p.PinUpdate.Defined())
		has("expiry", !p.ExpireAt.IsZero())
		has("time before 1970", !p.Timestamp.IsZero() && p.Timestamp.Unix() < 0)
		has("fraction", p.Timestamp.Nanosecond() != 0)
		has("no timestamp", p.Timestamp.IsZero())
		has("metadata", len(p.Metadata) > 1)
		has("origins", len(p.Origins) > 1)
		has("no allocations", len(p.Allocations) == 0)
		has("many allocations", len(p.Allocations) > 4)
		has("shard size", p.ShardSize > 0)
		has("everywhere", p.IsPinEverywhere())
	}
	for feature, n := range seen {
		if n == 0 {
			t.Errorf("no pin with %s", feature)
		}
	}
}

// All that gen writes is one pinset, streamed through ipfs-cluster's own code.
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	set := Set{Seed: 3, Profile: Rich, N: 200}
	for range 2 { // the second time replaces the first
		if err := set.Write(dir, Outputs); err != nil {
			t.Fatal(err)
		}
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, other := range []string{"state.snapshot", "raft"} {
		if n, err := check.States(at("export.ndjson"), at(other)); err != nil || n != set.N {
			t.Errorf("%s: %d pins, %v", other, n, err)
		}
	}
	if n, err := check.Values(at("values.jsonl")); err != nil || n != set.N {
		t.Errorf("values: %d pins, %v", n, err)
	}
	if err := set.Write(dir, []string{"nonsense"}); err == nil {
		t.Error("an unknown output was accepted")
	}
}
