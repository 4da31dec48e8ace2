package vectors

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"sort"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/crypto"
	peer "github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// must ends the generator on an error that only a mistake in a case can cause.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func hashOf(name string) mh.Multihash {
	return must(mh.Sum([]byte(name), mh.SHA2_256, -1))
}

// cidV1 is a CIDv1 made from a name; the codec is a multicodec number.
func cidV1(name string, codec uint64) api.Cid {
	return api.NewCid(cid.NewCidV1(codec, hashOf(name)))
}

func cidRaw(name string) api.Cid { return cidV1(name, cid.Raw) }

func cidV0(name string) api.Cid { return api.NewCid(cid.NewCidV0(hashOf(name))) }

func cidWith(name string, code uint64, length int) api.Cid {
	return api.NewCid(cid.NewCidV1(cid.Raw, must(mh.Sum([]byte(name), code, length))))
}

// digest is a multihash over a digest given as it is, whatever the code.
func digest(code uint64, d []byte) []byte { return must(mh.Encode(d, code)) }

// ed25519Peer is the n-th peer ID of the usual kind (12D3Koo…).
func ed25519Peer(n int) peer.ID {
	seed := sha256.Sum256(fmt.Appendf(nil, "peer %d", n))
	public := ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey)
	return must(peer.IDFromPublicKey(must(crypto.UnmarshalEd25519PublicKey(public))))
}

// rsaPeer is a peer ID of the Qm… kind: a SHA-256 of the public key.
func rsaPeer(n int) peer.ID { return peer.ID(hashOf(fmt.Sprintf("rsa peer %d", n))) }

// secpPeer is a peer ID of the 16Uiu2… kind: an identity hash of a secp256k1 key.
func secpPeer(n int) peer.ID {
	d := sha256.Sum256(fmt.Appendf(nil, "secp peer %d", n))
	key := append([]byte{0x08, 0x02, 0x12, 0x21, 0x02}, d[:]...)
	return peer.ID(digest(mh.IDENTITY, key))
}

func peers(n int) []peer.ID {
	out := make([]peer.ID, n)
	for i := range out {
		out[i] = ed25519Peer(i)
	}
	return out
}

func addr(text string) api.Multiaddr { return must(api.NewMultiaddr(text)) }

// sortByName orders cases that come out of a Go map.
func sortByName(list []struct{ name, text string }) {
	sort.Slice(list, func(i, j int) bool { return list[i].name < list[j].name })
}
