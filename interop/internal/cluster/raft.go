package cluster

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ipfs-cluster/ipfs-cluster/consensus/raft"
	"github.com/ipfs-cluster/ipfs-cluster/state"
	peer "github.com/libp2p/go-libp2p/core/peer"
)

func raftConfig(dir string) (*raft.Config, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	cfg := &raft.Config{}
	if err := cfg.Default(); err != nil {
		return nil, err
	}
	cfg.DataFolder = abs
	return cfg, nil
}

// WriteRaft makes dir a raft data folder that holds one snapshot of st, through
// ipfs-cluster's SnapshotSave. peers become the snapshot's server list. A folder
// that is already there is moved to DIR.old.0, as the real command does.
func WriteRaft(dir string, st state.State, peers []peer.ID) error {
	cfg, err := raftConfig(dir)
	if err != nil {
		return err
	}
	return raft.SnapshotSave(cfg, st, peers)
}

// ReadRaft reads the newest snapshot of the raft data folder dir, through
// the two calls that its OfflineState is made of: LastStateRaw, with raft's own
// CRC check, and dsstate's Unmarshal.
func ReadRaft(dir string) (*Memory, error) {
	if _, err := os.Stat(filepath.Join(dir, "snapshots")); err != nil {
		// the real reader would make the folder and call the state empty
		return nil, fmt.Errorf("no raft snapshots in %s: %w", dir, err)
	}
	cfg, err := raftConfig(dir)
	if err != nil {
		return nil, err
	}
	raw, found, err := raft.LastStateRaw(cfg)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fmt.Errorf("raft finds no usable snapshot in %s", dir)
	}
	if c, ok := raw.(io.Closer); ok {
		defer c.Close()
	}
	m, err := NewMemory()
	if err != nil {
		return nil, err
	}
	return m, m.State.Unmarshal(raw)
}

// PinSnapshotID gives the single snapshot in the raft folder dir a fixed
// creation time (milliseconds), so that generated folders are reproducible:
// raft writes the clock into the snapshot's ID and nowhere else.
func PinSnapshotID(dir string, millis int64) error {
	snapshots := filepath.Join(dir, "snapshots")
	found, err := os.ReadDir(snapshots)
	if err != nil {
		return err
	}
	if len(found) != 1 {
		return fmt.Errorf("%s holds %d snapshots, want one", snapshots, len(found))
	}
	old := found[0].Name()
	var term, index, at int64
	if _, err := fmt.Sscanf(old, "%d-%d-%d", &term, &index, &at); err != nil {
		return fmt.Errorf("snapshot name %q: %w", old, err)
	}
	id := fmt.Sprintf("%d-%d-%d", term, index, millis)
	metaPath := filepath.Join(snapshots, old, "meta.json")
	meta, err := os.ReadFile(metaPath)
	if err != nil {
		return err
	}
	if bytes.Count(meta, []byte(old)) != 1 {
		return fmt.Errorf("%s does not name %s exactly once", metaPath, old)
	}
	meta = bytes.Replace(meta, []byte(old), []byte(id), 1)
	if err := os.WriteFile(metaPath, meta, 0o644); err != nil {
		return err
	}
	return os.Rename(filepath.Join(snapshots, old), filepath.Join(snapshots, id))
}
