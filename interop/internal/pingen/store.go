package pingen

import (
	"context"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/state/dsstate"
	"github.com/ipfs/boxo/datastore/dshelp"
	ds "github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
)

// Set is a pinset that is never held in memory: n pins of one seed.
type Set struct {
	Seed    uint64
	Profile Profile
	N       int
}

// Each calls do with each pin in turn and stops at the first error.
func (s Set) Each(do func(pin api.Pin, value []byte) error) error {
	g, err := New(s.Seed, s.Profile)
	if err != nil {
		return err
	}
	for range s.N {
		pin, value, err := g.Record()
		if err != nil {
			return err
		}
		if err := do(pin, value); err != nil {
			return err
		}
	}
	return nil
}

// State is the real dsstate over a datastore that generates its records while
// they are queried: ipfs-cluster's export, Marshal and raft snapshot run over a
// set of any size in bounded memory. It can be listed, nothing else.
func (s Set) State() (*dsstate.State, error) {
	return dsstate.New(context.Background(), generated{Datastore: ds.NewNullDatastore(), set: s}, "", dsstate.DefaultHandle())
}

// generated answers queries with a Set's records, in the order of generation.
type generated struct {
	ds.Datastore
	set Set
}

func (d generated) Query(_ context.Context, q query.Query) (query.Results, error) {
	g, err := New(d.set.Seed, d.set.Profile)
	if err != nil {
		return nil, err
	}
	left := d.set.N
	next := func() (query.Result, bool) {
		if left == 0 {
			return query.Result{}, false
		}
		left--
		pin, value, err := g.Record()
		if err != nil {
			left = 0
			return query.Result{Error: err}, true
		}
		key := dshelp.NewKeyFromBinary(pin.Cid.Bytes()).String()
		return query.Result{Entry: query.Entry{Key: key, Value: value, Size: len(value)}}, true
	}
	return query.ResultsFromIterator(q, query.Iterator{Next: next}), nil
}
