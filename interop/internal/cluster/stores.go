package cluster

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/datastore/badger3"
	"github.com/ipfs-cluster/ipfs-cluster/datastore/inmem"
	"github.com/ipfs-cluster/ipfs-cluster/datastore/leveldb"
	"github.com/ipfs-cluster/ipfs-cluster/datastore/pebble"
	"github.com/ipfs-cluster/ipfs-cluster/state"
	"github.com/ipfs-cluster/ipfs-cluster/state/dsstate"
	ds "github.com/ipfs/go-datastore"
	pebbleds "github.com/ipfs/go-ds-pebble"
)

// Backends are the datastores of ipfs-cluster that this module can open.
var Backends = []string{"inmem", "pebble", "leveldb", "badger3"}

// Persistent tells whether a backend keeps anything after Close.
func Persistent(backend string) bool { return backend != "inmem" }

// OpenStore opens one of Backends in dir, with ipfs-cluster's default configuration.
func OpenStore(backend, dir string) (ds.Batching, error) {
	var store ds.Datastore
	var err error
	switch backend {
	case "inmem":
		return InMemory{inmem.New()}, nil
	case "pebble":
		cfg := &pebble.Config{}
		if err := cfg.Default(); err != nil {
			return nil, err
		}
		// Not pebble.New: it adds a ticker that reads the metrics for ever, and
		// keeps a store (and its 1 GiB cache) that was closed long ago alive.
		store, err = pebbleds.NewDatastore(dir, pebbleds.WithPebbleOpts(&cfg.PebbleOptions))
		cfg.PebbleOptions.Cache.Unref() // the open database holds its own reference
	case "leveldb":
		cfg := &leveldb.Config{}
		if err := cfg.Default(); err != nil {
			return nil, err
		}
		cfg.Folder = dir
		store, err = leveldb.New(cfg)
	case "badger3":
		cfg := &badger3.Config{}
		if err := cfg.Default(); err != nil {
			return nil, err
		}
		cfg.Folder = dir
		store, err = badger3.New(cfg)
	default:
		return nil, fmt.Errorf("unknown backend %q; there are %v", backend, Backends)
	}
	if err != nil {
		return nil, fmt.Errorf("opening %s in %s: %w", backend, dir, err)
	}
	batching, ok := store.(ds.Batching)
	if !ok {
		return nil, fmt.Errorf("%s cannot batch", backend)
	}
	return batching, nil
}

// InMemory is ipfs-cluster's in-memory datastore, told from the persistent ones.
type InMemory struct{ ds.Datastore }

// Batch implements ds.Batching.
func (m InMemory) Batch(context.Context) (ds.Batch, error) { return ds.NewBasicBatch(m.Datastore), nil }

// OpenState is a dsstate over a store, writing without batches.
func OpenState(store ds.Datastore) (*dsstate.State, error) {
	return dsstate.New(context.Background(), store, "", dsstate.DefaultHandle())
}

// Batched is a state whose writes are committed and synced every Every pins.
//
// ipfs-cluster's BatchingState goes on using a batch after its commit, which
// pebble ("batch already committed and cannot be reused") and badger3
// ("transaction has been discarded") refuse. So each batch gets a
// BatchingState of its own here.
type Batched struct {
	*dsstate.State // reads, not seeing what is uncommitted
	Every          int

	store ds.Batching
	open  *dsstate.BatchingState
	held  int
}

// NewBatched returns a Batched state over a store.
func NewBatched(store ds.Batching, every int) (*Batched, error) {
	st, err := OpenState(store)
	if err != nil {
		return nil, err
	}
	return &Batched{State: st, Every: every, store: store}, nil
}

// Add adds a pin to the open batch and commits when it is full.
func (b *Batched) Add(ctx context.Context, pin api.Pin) error {
	if b.open == nil {
		var err error
		if b.open, err = dsstate.NewBatching(ctx, b.store, "", dsstate.DefaultHandle()); err != nil {
			return err
		}
	}
	if err := b.open.Add(ctx, pin); err != nil {
		return err
	}
	if b.held++; b.held >= b.Every {
		return b.Commit(ctx)
	}
	return nil
}

// Commit makes everything added so far durable.
func (b *Batched) Commit(ctx context.Context) error {
	if b.open == nil {
		return nil
	}
	if err := b.open.Commit(ctx); err != nil {
		return err
	}
	b.open, b.held = nil, 0
	return b.store.Sync(ctx, ds.NewKey("/"))
}

// UnmarshalBatched reads a snapshot into a store as one batch and syncs it.
func UnmarshalBatched(ctx context.Context, r io.Reader, store ds.Batching) error {
	st, err := dsstate.NewBatching(ctx, store, "", dsstate.DefaultHandle())
	if err != nil {
		return err
	}
	if err := st.Unmarshal(r); err != nil {
		return err
	}
	if err := st.Commit(ctx); err != nil {
		return err
	}
	return store.Sync(ctx, ds.NewKey("/"))
}

// Marshal writes a snapshot of st through a buffer, as raft's snapshot sink does.
func Marshal(w io.Writer, st state.State) error {
	buf := bufio.NewWriter(w)
	if err := st.Marshal(buf); err != nil {
		return err
	}
	return buf.Flush()
}

// KnownBackend says whether name is one of Backends.
func KnownBackend(name string) bool { return slices.Contains(Backends, name) }
