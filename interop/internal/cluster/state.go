// Package cluster is the one place where this module touches ipfs-cluster:
// states over the real dsstate, the import and export loops of the real
// ipfs-cluster-service, and the raft snapshot folder of the real consensus
// component.
package cluster

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/datastore/inmem"
	"github.com/ipfs-cluster/ipfs-cluster/state"
	"github.com/ipfs-cluster/ipfs-cluster/state/dsstate"
	"github.com/ipfs/boxo/datastore/dshelp"
	ds "github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
	logging "github.com/ipfs/go-log/v2"
)

// Quiet turns off what the linked packages log: ipfs-cluster warns about each
// unusual pin depth on each decode, and raft announces each snapshot.
func Quiet() {
	logging.SetAllLoggers(logging.LevelFatal)
	hclog.DefaultLevel = hclog.Off
	hclog.DefaultOutput = io.Discard
}

// ordered sorts what a datastore's queries return by key. The in-memory
// datastore answers in the random order of a Go map, which would make every
// generated file differ from run to run; the persistent ones use key order.
type ordered struct{ ds.Datastore }

func (o ordered) Query(ctx context.Context, q query.Query) (query.Results, error) {
	q.Orders = append(q.Orders, query.OrderByKey{})
	return o.Datastore.Query(ctx, q)
}

// Memory is a dsstate over ipfs-cluster's in-memory datastore, with access to
// the stored bytes.
type Memory struct {
	Store ds.Datastore
	State *dsstate.State
}

// NewMemory returns an empty state that lists, exports and marshals in key order.
func NewMemory() (*Memory, error) {
	store := ordered{inmem.New()}
	st, err := dsstate.New(context.Background(), store, "", dsstate.DefaultHandle())
	if err != nil {
		return nil, fmt.Errorf("opening an in-memory state: %w", err)
	}
	return &Memory{Store: store, State: st}, nil
}

// Entry is one stored key and value. Key is the datastore key without its
// leading slash; Value is nil where a nil value was stored.
type Entry struct {
	Key   string
	Value []byte
}

// CidBytes decodes the key as dsstate does.
func (e Entry) CidBytes() ([]byte, error) {
	if e.Key == "" {
		return nil, nil // the undefined CID
	}
	return dshelp.BinaryFromDsKey(ds.NewKey(e.Key))
}

// Put stores a value as it is under the key of the given CID bytes.
func (m *Memory) Put(cid, value []byte) error {
	return m.Store.Put(context.Background(), dshelp.NewKeyFromBinary(cid), value)
}

// Get reads one stored record as dsstate does.
func (m *Memory) Get(cid []byte) (api.Pin, error) {
	c, err := api.CastCid(cid)
	if err != nil {
		return api.Pin{}, err
	}
	return m.State.Get(context.Background(), c)
}

// Entries returns all that is stored, sorted by key.
func (m *Memory) Entries() ([]Entry, error) {
	results, err := m.Store.Query(context.Background(), query.Query{})
	if err != nil {
		return nil, err
	}
	rows, err := results.Rest()
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, len(rows))
	for i, r := range rows {
		entries[i] = Entry{Key: strings.TrimPrefix(r.Key, "/"), Value: r.Value}
	}
	sort.Slice(entries, func(i, j int) bool { return entries[i].Key < entries[j].Key })
	return entries, nil
}

// ImportOptions are the three flags of `state import`; zero values change nothing.
type ImportOptions = api.PinOptions

// Import reads r exactly as `state import` does, into st.
func Import(r io.Reader, st state.State, opts ImportOptions) error {
	return importState(bufio.NewReader(r), st, opts)
}

// Export writes st to w exactly as `state export` does: on failure, lines that
// were still buffered are lost.
func Export(w io.Writer, st state.State) error {
	buf := bufio.NewWriter(w)
	if err := exportState(buf, st); err != nil {
		return err
	}
	return buf.Flush()
}

// ExportLine returns the line that `state export` writes for a state of one
// record, without its newline; nil when List skips the record.
func (m *Memory) ExportLine() ([]byte, error) {
	var out bytes.Buffer
	if err := Export(&out, m.State); err != nil {
		return nil, err
	}
	if out.Len() == 0 {
		return nil, nil
	}
	line, ok := bytes.CutSuffix(out.Bytes(), []byte("\n"))
	if !ok || bytes.ContainsRune(line, '\n') {
		return nil, errors.New("export of one pin is not exactly one line")
	}
	return line, nil
}

// CleanError returns err's text in a form that is the same in every build:
// protobuf-go puts a no-break space into its messages at random.
func CleanError(err error) string {
	return strings.ReplaceAll(err.Error(), "\u00a0", " ")
}
