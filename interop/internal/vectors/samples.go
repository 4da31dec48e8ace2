package vectors

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"pinstate-interop/internal/cluster"
	"pinstate-interop/internal/pingen"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs/go-cid"
	peer "github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// The sample: the same pins in each format.
var sampleSet = pingen.Set{Seed: 1, Profile: pingen.Rich, N: 300}

// snapshotMillis is the creation time of the sample's raft snapshot.
const snapshotMillis = 1718452800000

// writeSample writes sample.ndjson, sample.snapshot and raft/, all of the same
// pins in key order, as a peer in UTC would.
func writeSample(dir string) error {
	defer inUTC()()
	m, err := cluster.NewMemory()
	if err != nil {
		return err
	}
	err = sampleSet.Each(func(pin api.Pin, value []byte) error { return m.Put(pin.Cid.Bytes(), value) })
	if err != nil {
		return err
	}
	if err := writeExport(filepath.Join(dir, "sample.ndjson"), m); err != nil {
		return err
	}
	var snapshot bytes.Buffer
	if err := m.State.Marshal(&snapshot); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "sample.snapshot"), snapshot.Bytes(), 0o644); err != nil {
		return err
	}
	raft := filepath.Join(dir, "raft")
	if err := os.RemoveAll(raft); err != nil {
		return err
	}
	g, err := pingen.New(sampleSet.Seed, sampleSet.Profile)
	if err != nil {
		return err
	}
	if err := cluster.WriteRaft(raft, m.State, g.Peers()[:3]); err != nil {
		return err
	}
	return cluster.PinSnapshotID(raft, snapshotMillis)
}

func writeExport(path string, m *cluster.Memory) error {
	var out bytes.Buffer
	if err := cluster.Export(&out, m.State); err != nil {
		return err
	}
	return os.WriteFile(path, out.Bytes(), 0o644)
}

// inUTC makes the process zone UTC until the returned function is called.
func inUTC() func() {
	saved := time.Local
	time.Local = time.UTC
	return func() { time.Local = saved }
}

// ImportOptions evaluates the flags of `state import` on one input.
func ImportOptions() ([]OptionsVector, error) {
	input := exported("o1") + "\n" + plain(`"name":"o2"`) + "\n"
	none := []string{}
	some := []string{ed25519Peer(11).String(), rsaPeer(11).String()}
	var out []OptionsVector
	for _, o := range []OptionsVector{
		{ReplicationMin: 0, ReplicationMax: 0, Allocations: none},
		{ReplicationMin: 5, ReplicationMax: 0, Allocations: none},
		{ReplicationMin: 0, ReplicationMax: 6, Allocations: none},
		{ReplicationMin: -1, ReplicationMax: -1, Allocations: none},
		{ReplicationMin: 1, ReplicationMax: 2, Allocations: some},
		{ReplicationMin: 0, ReplicationMax: 0, Allocations: append([]string{"no peer", ""}, some...)},
		{ReplicationMin: 0, ReplicationMax: 0, Allocations: []string{"no peer"}},
	} {
		opts := cluster.ImportOptions{
			ReplicationFactorMin: o.ReplicationMin,
			ReplicationFactorMax: o.ReplicationMax,
			UserAllocations:      api.StringsToPeers(o.Allocations), // what the command does with the flag
		}
		v, err := importVector("options", input, opts)
		if err != nil {
			return nil, err
		}
		o.ReaderVector = v
		out = append(out, o)
	}
	return out, nil
}

// writeExample writes the small pinset that the README's first command imports.
func writeExample(path string) error {
	defer inUTC()()
	m, err := cluster.NewMemory()
	if err != nil {
		return err
	}
	for _, p := range examplePins() {
		if err := m.State.Add(context.Background(), p); err != nil {
			return err
		}
	}
	return writeExport(path, m)
}

// examplePins is the pinset of a small three-peer cluster.
func examplePins() []api.Pin {
	var out []api.Pin
	at := someTime(1735722000) // 2025-01-01T09:00:00Z
	pin := func(name string, c api.Cid, change func(*api.Pin)) {
		at = at.Add(37*time.Hour + 11*time.Minute)
		p := api.Pin{
			PinOptions:  api.PinOptions{ReplicationFactorMin: 2, ReplicationFactorMax: 3, Name: name},
			Cid:         c,
			Type:        api.DataType,
			MaxDepth:    -1,
			Allocations: peers(3)[:2+len(out)%2],
			Timestamp:   at,
		}
		if change != nil {
			change(&p)
		}
		out = append(out, p)
	}
	meta := func(pairs ...string) func(*api.Pin) {
		return func(p *api.Pin) {
			p.Metadata = map[string]string{}
			for i := 0; i+1 < len(pairs); i += 2 {
				p.Metadata[pairs[i]] = pairs[i+1]
			}
		}
	}
	everywhere := func(p *api.Pin) {
		p.ReplicationFactorMin, p.ReplicationFactorMax, p.Allocations = -1, -1, nil
	}
	pin("website/2025-01", cidV0("website 1"), meta("site", "example.org", "commit", "4f1c2d9"))
	website := out[0].Cid
	pin("website/2025-02", cidV0("website 2"), func(p *api.Pin) {
		meta("site", "example.org", "commit", "b07aa31")(p)
		p.PinUpdate = website
	})
	for _, name := range []string{"climate/temperature-1990s.car", "climate/temperature-2000s.car", "climate/temperature-2010s.car", "climate/README.md"} {
		pin(name, cidV1(name, cid.DagProtobuf), meta("dataset", "climate", "license", "CC-BY-4.0"))
	}
	for _, name := range []string{"photos/aurora.jpg", "photos/北海道.jpg", "photos/été <2024> & more.jpg"} {
		pin(name, cidRaw(name), meta("tenant", "studio", "kind", "image/jpeg"))
	}
	pin("nightly backup", cidRaw("backup"), func(p *api.Pin) {
		meta("host", "db-1", "schedule", "nightly")(p)
		p.ExpireAt = someTime(1893456000) // 2030-01-01
	})
	pin("press kit (until the launch)", cidV1("press kit", cid.DagProtobuf), func(p *api.Pin) { p.ExpireAt = someTime(1738368000) })
	pin("", cidRaw("unnamed"), nil)
	pin("genesis block", cidV1("genesis", cid.DagCBOR), everywhere)
	pin("bootstrap list", cidWith("/dnsaddr/bootstrap.example.org", mh.IDENTITY, -1), everywhere)
	pin("index page, this block only", cidV0("index"), func(p *api.Pin) { p.Mode, p.MaxDepth = api.PinModeDirect, 0 })
	pin("mirror of a partner", cidV1("mirror", cid.DagProtobuf), func(p *api.Pin) {
		p.Origins = []api.Multiaddr{
			addr("/ip4/203.0.113.7/tcp/4001/p2p/" + ed25519Peer(40).String()),
			addr("/dns4/ipfs.partner.example/udp/4001/quic-v1/p2p/" + ed25519Peer(41).String()),
		}
	})
	pin("archive/films", cidWith("films", mh.SHA2_512, -1), func(p *api.Pin) {
		p.Allocations = []peer.ID{ed25519Peer(0), rsaPeer(0), secpPeer(0)}
	})
	sharded(pin)
	return out
}

// sharded adds one upload that was split: its meta pin, the DAG of its shards,
// and the shards, each pointing to the one before.
func sharded(pin func(string, api.Cid, func(*api.Pin))) {
	root, dag := cidV0("video"), cidV1("video dag", cid.DagCBOR)
	shard := func(n int) api.Cid { return cidV1(fmt.Sprint("video shard ", n), cid.DagCBOR) }
	pin("conference-video.mp4", root, func(p *api.Pin) {
		p.Type, p.MaxDepth, p.Reference, p.Allocations = api.MetaType, 0, &dag, nil
		p.ShardSize = 100 << 20
	})
	pin("conference-video.mp4-clusterDAG", dag, func(p *api.Pin) {
		p.Type, p.MaxDepth, p.Reference, p.Allocations = api.ClusterDAGType, 0, &root, nil
		p.ReplicationFactorMin, p.ReplicationFactorMax = -1, -1
	})
	for n := range 3 {
		pin(fmt.Sprint("conference-video.mp4-shard-", n), shard(n), func(p *api.Pin) {
			p.Type, p.MaxDepth, p.ShardSize = api.ShardType, 1, 100<<20
			if n > 0 {
				before := shard(n - 1)
				p.Reference = &before
			}
		})
	}
}
