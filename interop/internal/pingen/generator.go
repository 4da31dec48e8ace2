// Package pingen makes seeded random pins: the same seed gives the same pins in
// every run and on every machine.
package pingen

import (
	"crypto/ed25519"
	"fmt"
	"math/rand/v2"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/crypto"
	peer "github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// Profile chooses the shape of the pins.
type Profile string

const (
	// Rich mixes every feature that a valid pin can have.
	Rich Profile = "rich"
	// Plain is the benchmark's shape: CIDv1 raw or dag-pb, 3 allocations out of
	// 24 Ed25519 peers, a name, one metadata entry; about 560 bytes of JSON.
	Plain Profile = "plain"
)

// poolSize is how many peers a generated cluster has.
const poolSize = 24

// Generator makes one pin after the other. CIDs do not repeat.
type Generator struct {
	rng     *rand.Rand
	profile Profile
	pool    []peer.ID
	made    uint64
}

// New returns the generator of a seed and a profile.
func New(seed uint64, profile Profile) (*Generator, error) {
	g := &Generator{rng: rand.New(rand.NewPCG(seed, 0x70696e7374617465)), profile: profile}
	switch profile {
	case Rich, Plain:
	default:
		return nil, fmt.Errorf("unknown profile %q; there are %q and %q", profile, Rich, Plain)
	}
	for i := range poolSize {
		id, err := g.peer(i)
		if err != nil {
			return nil, err
		}
		g.pool = append(g.pool, id)
	}
	return g, nil
}

// Peers is the cluster whose peers the pins are allocated to.
func (g *Generator) Peers() []peer.ID { return g.pool }

// Next returns the next pin.
func (g *Generator) Next() (api.Pin, error) {
	g.made++
	if g.profile == Plain {
		return g.plain()
	}
	return g.rich()
}

// Record returns the next pin and the value that ipfs-cluster stores for it.
func (g *Generator) Record() (api.Pin, []byte, error) {
	pin, err := g.Next()
	if err != nil {
		return pin, nil, err
	}
	value, err := pin.ProtoMarshal()
	return pin, value, err
}

// bytes returns n random bytes.
func (g *Generator) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(g.rng.Uint32())
	}
	return b
}

// chance is true in percent of 100 cases.
func (g *Generator) chance(percent int) bool { return g.rng.IntN(100) < percent }

// peer makes the i-th peer of the pool: Ed25519, but for some older kinds in
// the rich profile.
func (g *Generator) peer(i int) (peer.ID, error) {
	seed := g.bytes(ed25519.SeedSize)
	if g.profile == Rich && i%8 == 6 { // RSA: SHA-256 of the key, Qm…
		hash, err := mh.Encode(seed, mh.SHA2_256)
		return peer.ID(hash), err
	}
	if g.profile == Rich && i%8 == 7 { // secp256k1: the key itself, 16Uiu2…
		hash, err := mh.Encode(append([]byte{0x08, 0x02, 0x12, 0x21, 0x03}, seed...), mh.IDENTITY)
		return peer.ID(hash), err
	}
	public, ok := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	if !ok {
		return "", fmt.Errorf("ed25519 gave another kind of key")
	}
	key, err := crypto.UnmarshalEd25519PublicKey(public)
	if err != nil {
		return "", err
	}
	return peer.IDFromPublicKey(key)
}

// allocations picks n different peers.
func (g *Generator) allocations(n int) []peer.ID {
	out := make([]peer.ID, 0, n)
	for _, i := range g.rng.Perm(len(g.pool))[:n] {
		out = append(out, g.pool[i])
	}
	return out
}

// cid makes a CID over a random digest of the hash code's usual length.
func (g *Generator) cid(version int, codec, code uint64, size int) (api.Cid, error) {
	hash, err := mh.Encode(g.bytes(size), code)
	if err != nil {
		return api.CidUndef, err
	}
	if version == 0 {
		return api.NewCid(cid.NewCidV0(hash)), nil
	}
	return api.NewCid(cid.NewCidV1(codec, hash)), nil
}
