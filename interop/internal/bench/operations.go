package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"pinstate-interop/internal/cluster"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/state"
	ds "github.com/ipfs/go-datastore"
)

// operation is one thing that can be timed. run returns how many pins it saw.
type operation struct {
	writes    bool // wants an empty store; the count is taken from it afterwards
	single    bool // writes pins one by one, and so fewer of them
	wholeLife bool // opens and closes the store itself
	run       func(context.Context, *Bench, ds.Batching) (int, error)
}

var operations = map[string]operation{
	"list":      {run: list},
	"export":    {run: export},
	"marshal":   {run: marshal},
	"get":       {run: func(ctx context.Context, b *Bench, s ds.Batching) (int, error) { return get(ctx, b, s, 1) }},
	"get64":     {run: func(ctx context.Context, b *Bench, s ds.Batching) (int, error) { return get(ctx, b, s, 64) }},
	"get1":      {wholeLife: true},
	"add":       {writes: true, run: add},
	"add64":     {writes: true, single: true, run: addSingly},
	"import":    {writes: true, run: load},
	"unmarshal": {writes: true, run: unmarshal},
}

// Operations are the names of what can be timed.
func Operations() []string { return slices.Sorted(maps.Keys(operations)) }

// listBuffer is the channel's size in `state export`.
const listBuffer = 10000

// list decodes every pin and drops it.
func list(ctx context.Context, _ *Bench, store ds.Batching) (int, error) {
	st, err := cluster.OpenState(store)
	if err != nil {
		return 0, err
	}
	out := make(chan api.Pin, listBuffer)
	failed := make(chan error, 1)
	go func() { failed <- st.List(ctx, out) }()
	n := 0
	for range out {
		n++
	}
	return n, <-failed
}

// lines counts what passes and drops it.
type lines int

func (l *lines) Write(p []byte) (int, error) {
	*l += lines(bytes.Count(p, []byte{'\n'}))
	return len(p), nil
}

// export writes NDJSON as `state export` does.
func export(_ context.Context, b *Bench, store ds.Batching) (int, error) {
	st, err := cluster.OpenState(store)
	if err != nil {
		return 0, err
	}
	var out lines
	err = cluster.Export(&out, st)
	return int(out), err
}

// marshal writes a snapshot, buffered as in raft's snapshot sink.
func marshal(_ context.Context, b *Bench, store ds.Batching) (int, error) {
	st, err := cluster.OpenState(store)
	if err != nil {
		return 0, err
	}
	return len(b.pins), cluster.Marshal(io.Discard, st)
}

// get reads every pin by its CID, in the file's order, from so many callers.
func get(ctx context.Context, b *Bench, store ds.Batching, callers int) (int, error) {
	st, err := cluster.OpenState(store)
	if err != nil {
		return 0, err
	}
	return each(b.pins, callers, func(pin api.Pin) error {
		_, err := st.Get(ctx, pin.Cid)
		return err
	})
}

// each does something with every pin, in their order, from so many callers, and
// says with how many it was done.
func each(pins []api.Pin, callers int, do func(api.Pin) error) (int, error) {
	var next, done atomic.Int64
	var failed atomic.Pointer[error]
	var wait sync.WaitGroup
	for range callers {
		wait.Go(func() {
			for {
				i := next.Add(1) - 1
				if i >= int64(len(pins)) || failed.Load() != nil {
					return
				}
				if err := do(pins[i]); err != nil {
					failed.Store(&err)
					return
				}
				done.Add(1)
			}
		})
	}
	wait.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return int(done.Load()), nil
}

// writer is a state for many writes: with durable batches where the store
// keeps anything, else plain.
func writer(store ds.Batching) (state.State, func(context.Context) error, error) {
	if _, memory := store.(cluster.InMemory); memory {
		st, err := cluster.OpenState(store)
		return st, func(context.Context) error { return nil }, err
	}
	st, err := cluster.NewBatched(store, batchSize)
	if err != nil {
		return nil, nil, err
	}
	return st, st.Commit, nil
}

// add writes pins that are there as Go values.
func add(ctx context.Context, b *Bench, store ds.Batching) (int, error) {
	st, commit, err := writer(store)
	if err != nil {
		return 0, err
	}
	for i := range b.pins {
		if err := st.Add(ctx, b.pins[i]); err != nil {
			return i, fmt.Errorf("adding %s: %w", b.pins[i].Cid, err)
		}
	}
	return len(b.pins), commit(ctx)
}

// addSingly writes pins from 64 callers, each of which waits until its pin is
// durable before it takes the next one.
func addSingly(ctx context.Context, b *Bench, store ds.Batching) (int, error) {
	st, err := cluster.OpenState(store)
	if err != nil {
		return 0, err
	}
	return each(b.pins[:min(len(b.pins), singles)], 64, func(pin api.Pin) error {
		if err := st.Add(ctx, pin); err != nil {
			return err
		}
		return store.Sync(ctx, ds.NewKey("/"))
	})
}

// load reads NDJSON as `state import` does.
func load(ctx context.Context, b *Bench, store ds.Batching) (int, error) {
	st, commit, err := writer(store)
	if err != nil {
		return 0, err
	}
	if err := cluster.Import(bytes.NewReader(b.ndjson), st, cluster.ImportOptions{}); err != nil {
		return 0, err
	}
	return len(b.pins), commit(ctx)
}

// unmarshal reads a snapshot. ipfs-cluster does so into memory only; a
// persistent store gets it as one batch and one sync here.
func unmarshal(ctx context.Context, b *Bench, store ds.Batching) (int, error) {
	if _, memory := store.(cluster.InMemory); memory {
		st, err := cluster.OpenState(store)
		if err != nil {
			return 0, err
		}
		return len(b.pins), st.Unmarshal(bytes.NewReader(b.snapshot))
	}
	return len(b.pins), cluster.UnmarshalBatched(ctx, bytes.NewReader(b.snapshot), store)
}
