package cluster

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

func TestMain(m *testing.M) {
	Quiet()
	time.Local = time.UTC
	os.Exit(m.Run())
}

func line(name string) string {
	return `{"cid":"bafkqaaa","name":"` + name + `","type":"pin","max_depth":-1}`
}

// The linked functions are the real loops: what goes in comes out as a full line.
func TestImportThenExport(t *testing.T) {
	m, err := NewMemory()
	if err != nil {
		t.Fatal(err)
	}
	if err := Import(strings.NewReader(line("x")), m.State, ImportOptions{ReplicationFactorMin: 4}); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Export(&out, m.State); err != nil {
		t.Fatal(err)
	}
	want := `{"replication_factor_min":4,"replication_factor_max":0,"name":"x","mode":"recursive","shard_size":0,` +
		`"user_allocations":null,"expire_at":"0001-01-01T00:00:00Z","metadata":null,"pin_update":null,"origins":[],` +
		`"cid":"bafkqaaa","type":"pin","allocations":[],"max_depth":-1,"reference":null,"timestamp":"0001-01-01T00:00:00Z"}` + "\n"
	if out.String() != want {
		t.Errorf("got %swant %s", out.String(), want)
	}
}

func TestRaftFolder(t *testing.T) {
	m, err := NewMemory()
	if err != nil {
		t.Fatal(err)
	}
	if err := Import(strings.NewReader(line("raft")), m.State, ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "raft")
	if err := WriteRaft(dir, m.State, nil); err != nil {
		t.Fatal(err)
	}
	if err := PinSnapshotID(dir, 5); err != nil {
		t.Fatal(err)
	}
	again, err := ReadRaft(dir)
	if err != nil {
		t.Fatal(err)
	}
	want, err := m.Entries()
	if err != nil {
		t.Fatal(err)
	}
	got, err := again.Entries()
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].Key != want[0].Key || !bytes.Equal(got[0].Value, want[0].Value) {
		t.Errorf("got %v, want %v", got, want)
	}
	if _, err := os.Stat(filepath.Join(dir, "snapshots", "1-2-5", "state.bin")); err != nil {
		t.Error(err)
	}
}

// ipfs-cluster's own BatchingState cannot do this on pebble and badger3.
func TestBatchedGoesOnAfterCommit(t *testing.T) {
	for _, backend := range Backends {
		store, err := OpenStore(backend, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		st, err := NewBatched(store, 2)
		if err != nil {
			t.Fatal(err)
		}
		ctx := context.Background()
		for i := range 5 {
			cid, err := api.CastCid([]byte{1, 0x55, 0, 1, byte(i)})
			if err != nil {
				t.Fatal(err)
			}
			if err := st.Add(ctx, api.PinCid(cid)); err != nil {
				t.Fatalf("%s, pin %d: %v", backend, i, err)
			}
		}
		if err := st.Commit(ctx); err != nil {
			t.Fatalf("%s: %v", backend, err)
		}
		out := make(chan api.Pin, 10)
		if err := st.List(ctx, out); err != nil {
			t.Fatal(err)
		}
		if len(out) != 5 {
			t.Errorf("%s holds %d pins of 5", backend, len(out))
		}
		if err := store.Close(); err != nil {
			t.Errorf("closing %s: %v", backend, err)
		}
	}
}

// The in-memory store keeps an empty and a nil value apart, so the snapshot
// vectors may tell one from the other.
func TestEmptyAndNilValues(t *testing.T) {
	for _, entry := range []string{"\x82\xa1k\xa4AAAA\xa1v\xa0", "\x82\xa1k\xa4AAAA\xa1v\xc0"} {
		m, err := NewMemory()
		if err != nil {
			t.Fatal(err)
		}
		if err := m.State.Unmarshal(strings.NewReader(entry)); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := m.State.Marshal(&out); err != nil {
			t.Fatal(err)
		}
		if out.String() != entry {
			t.Errorf("%x comes back as %x", entry, out.String())
		}
	}
}
