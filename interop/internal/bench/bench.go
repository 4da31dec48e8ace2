// Package bench times operations of the real ipfs-cluster state, one at a time
// on request, so that a driver can interleave them with another program's.
package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"pinstate-interop/internal/cluster"

	ds "github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
)

const (
	// batchSize is how many pins a durable write holds.
	batchSize = 1000
	// singles is how many pins are written durably one by one, at most.
	singles = 20000
)

// Result is the line printed for one request.
type Result struct {
	Op      string  `json:"op"`
	Backend string  `json:"backend"`
	N       int     `json:"n"`
	Seconds float64 `json:"seconds"`
	// CPU is the processor time of the whole process meanwhile, in seconds.
	CPU   float64 `json:"cpu"`
	Error string  `json:"error,omitempty"`
}

// Bench holds the pins in the forms that the operations take, and one filled
// store a backend for those that read.
type Bench struct {
	*Pins
	dir    string
	filled map[string]ds.Batching // open inmem stores; persistent ones are a nil entry and a folder
	round  int
}

// New loads a pins file (an export, or values as gen writes them) and makes a
// scratch folder below dir, or below the system's where dir is empty.
func New(file, dir string) (*Bench, error) {
	pins, err := LoadPins(file)
	if err != nil {
		return nil, err
	}
	scratch, err := os.MkdirTemp(dir, "pinstate-bench-")
	if err != nil {
		return nil, err
	}
	return &Bench{Pins: pins, dir: scratch, filled: map[string]ds.Batching{}}, nil
}

// Close removes the scratch folder.
func (b *Bench) Close() error { return os.RemoveAll(b.dir) }

// Serve answers each line `OP BACKEND` of in with one line of JSON on out,
// until in ends.
func (b *Bench) Serve(in io.Reader, out io.Writer) error {
	enc := json.NewEncoder(out)
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) == 0 {
			continue
		}
		result := Result{Op: words[0]}
		if len(words) != 2 {
			result.Error = fmt.Sprintf("want OP BACKEND, got %q", lines.Text())
		} else {
			result = b.Run(words[0], words[1])
		}
		if err := enc.Encode(result); err != nil {
			return err
		}
	}
	return lines.Err()
}

// Run does one operation once over the whole set. Only the operation is timed:
// not the filling, opening and closing of stores around it, except for get1.
func (b *Bench) Run(op, backend string) Result {
	result := Result{Op: op, Backend: backend}
	n, took, err := b.run(op, backend)
	if err != nil {
		result.Error = err.Error()
		return result
	}
	result.N, result.Seconds, result.CPU = n, took.wall.Seconds(), took.cpu.Seconds()
	return result
}

// spent is what an operation took.
type spent struct{ wall, cpu time.Duration }

// stopwatch begins to measure; what it returns ends that.
func stopwatch() func() spent {
	start, before := time.Now(), processorTime()
	return func() spent { return spent{time.Since(start), processorTime() - before} }
}

func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func (b *Bench) run(op, backend string) (int, spent, error) {
	do, ok := operations[op]
	if !ok {
		return 0, spent{}, fmt.Errorf("unknown operation %q; there are %s", op, strings.Join(Operations(), " "))
	}
	if !cluster.KnownBackend(backend) {
		return 0, spent{}, fmt.Errorf("unknown backend %q; there are %s", backend, strings.Join(cluster.Backends, " "))
	}
	if do.wholeLife {
		return b.once(backend)
	}
	store, done, err := b.store(backend, do.writes)
	if err != nil {
		return 0, spent{}, err
	}
	defer done()
	runtime.GC() // an operation pays for its own garbage only
	stop := stopwatch()
	n, err := do.run(context.Background(), b, store)
	took := stop()
	if err != nil {
		return 0, spent{}, err
	}
	if do.writes {
		if n, err = count(store); err != nil {
			return 0, spent{}, err
		}
	}
	want := len(b.pins)
	if do.single {
		want = min(want, singles)
	}
	if n != want {
		return 0, spent{}, fmt.Errorf("%s on %s saw %d pins of %d", op, backend, n, want)
	}
	return n, took, nil
}

// store gives an empty store to an operation that writes, else a freshly
// opened one that holds the set. The function returned lets go of it.
func (b *Bench) store(backend string, empty bool) (ds.Batching, func(), error) {
	if empty {
		b.round++
		dir := filepath.Join(b.dir, fmt.Sprintf("%s-%d", backend, b.round))
		store, err := cluster.OpenStore(backend, dir)
		if err != nil {
			return nil, nil, err
		}
		return store, func() { store.Close(); os.RemoveAll(dir) }, nil
	}
	if err := b.fill(backend); err != nil {
		return nil, nil, fmt.Errorf("filling %s: %w", backend, err)
	}
	if store := b.filled[backend]; store != nil {
		return store, func() {}, nil
	}
	store, err := cluster.OpenStore(backend, b.path(backend))
	if err != nil {
		return nil, nil, err
	}
	return store, func() { store.Close() }, nil
}

func (b *Bench) path(backend string) string { return filepath.Join(b.dir, backend) }

// fill loads the set into a backend's store, the first time it is wanted.
func (b *Bench) fill(backend string) error {
	if _, ok := b.filled[backend]; ok {
		return nil
	}
	store, err := cluster.OpenStore(backend, b.path(backend))
	if err != nil {
		return err
	}
	if _, err := add(context.Background(), b, store); err != nil {
		return err
	}
	if cluster.Persistent(backend) {
		b.filled[backend] = nil
		return store.Close()
	}
	b.filled[backend] = store
	return nil
}

// once opens a filled store, gets one pin and closes: what a command that
// reads one pin would do. All of it is timed.
func (b *Bench) once(backend string) (int, spent, error) {
	if err := b.fill(backend); err != nil {
		return 0, spent{}, err
	}
	b.round++
	cid := b.pins[b.round%len(b.pins)].Cid
	stop := stopwatch()
	store, done, err := b.store(backend, false)
	if err != nil {
		return 0, spent{}, err
	}
	st, err := cluster.OpenState(store)
	if err == nil {
		_, err = st.Get(context.Background(), cid)
	}
	done()
	return 1, stop(), err
}

func count(store ds.Datastore) (int, error) {
	results, err := store.Query(context.Background(), query.Query{KeysOnly: true})
	if err != nil {
		return 0, err
	}
	defer results.Close()
	n := 0
	for r := range results.Next() {
		if r.Error != nil {
			return n, r.Error
		}
		n++
	}
	return n, nil
}
