package pingen

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

// epoch is where plain timestamps begin: 2023-01-01T00:00:00Z.
const epoch = 1672531200

func (g *Generator) plain() (api.Pin, error) {
	codec := uint64(cid.Raw)
	if g.chance(50) {
		codec = cid.DagProtobuf
	}
	c, err := g.cid(1, codec, mh.SHA2_256, 32)
	if err != nil {
		return api.Pin{}, err
	}
	return api.Pin{
		PinOptions: api.PinOptions{
			ReplicationFactorMin: 2,
			ReplicationFactorMax: 3,
			Name:                 fmt.Sprintf("file-%08d", g.made),
			Metadata:             map[string]string{"tenant": fmt.Sprintf("org-%05d", g.rng.IntN(20000))},
		},
		Cid:         c,
		Type:        api.DataType,
		Allocations: g.allocations(3),
		MaxDepth:    -1,
		Timestamp:   time.Unix(epoch+g.rng.Int64N(100_000_000), 0).UTC(),
	}, nil
}

func (g *Generator) rich() (api.Pin, error) {
	c, err := g.richCid()
	if err != nil {
		return api.Pin{}, err
	}
	p := api.Pin{Cid: c, Type: api.DataType, MaxDepth: -1}
	switch g.rng.IntN(20) {
	case 0:
		p.Type, p.MaxDepth = api.MetaType, 0
	case 1:
		p.Type, p.MaxDepth = api.ClusterDAGType, 0
	case 2, 3:
		p.Type, p.MaxDepth = api.ShardType, 1
	case 4:
		p.MaxDepth = 0
	case 5:
		p.MaxDepth = api.PinDepth(int32(g.rng.Uint32()))
	}
	if p.Type != api.DataType || g.chance(3) {
		ref, err := g.richCid()
		if err != nil {
			return api.Pin{}, err
		}
		p.Reference = &ref
	}
	if g.chance(5) {
		if p.PinUpdate, err = g.richCid(); err != nil {
			return api.Pin{}, err
		}
	}
	p.ReplicationFactorMin, p.ReplicationFactorMax = g.replication()
	p.Allocations = g.allocations(g.rng.IntN(7))
	p.Name = g.text(24)
	if g.chance(10) {
		p.ShardSize = g.rng.Uint64() >> g.rng.IntN(64)
	}
	p.ExpireAt = g.time(20)
	p.Timestamp = g.time(95)
	if g.chance(60) {
		p.Metadata = map[string]string{}
		for range g.rng.IntN(6) {
			p.Metadata[g.text(10)] = g.text(30)
		}
	}
	for g.chance(20) {
		origin, err := g.origin()
		if err != nil {
			return api.Pin{}, err
		}
		p.Origins = append(p.Origins, origin)
	}
	return p, nil
}

// richCid makes CIDs of many kinds; the short identity ones carry a counter,
// so that they do not repeat either.
func (g *Generator) richCid() (api.Cid, error) {
	switch g.rng.IntN(12) {
	case 0, 1, 2:
		return g.cid(0, cid.DagProtobuf, mh.SHA2_256, 32)
	case 3, 4, 5:
		return g.cid(1, cid.DagProtobuf, mh.SHA2_256, 32)
	case 6:
		return g.cid(1, cid.DagCBOR, mh.SHA2_256, 32)
	case 7:
		return g.cid(1, cid.Raw, mh.SHA2_512, 64)
	case 8:
		return g.cid(1, cid.Raw, mh.BLAKE2B_MIN+31, 32)
	case 9:
		d := binary.BigEndian.AppendUint64(g.bytes(g.rng.IntN(60)), g.rng.Uint64())
		hash, err := mh.Encode(d, mh.IDENTITY)
		return api.NewCid(cid.NewCidV1(cid.Raw, hash)), err
	default:
		return g.cid(1, cid.Raw, mh.SHA2_256, 32)
	}
}

func (g *Generator) replication() (int, int) {
	switch g.rng.IntN(10) {
	case 0, 1:
		return -1, -1
	case 2:
		return 0, 0
	case 3:
		return int(int32(g.rng.Uint32())), int(int32(g.rng.Uint32()))
	default:
		low := 1 + g.rng.IntN(4)
		return low, low + g.rng.IntN(3)
	}
}

// time is the zero time, or in percent of 100 cases one that JSON can say in
// UTC, mostly near the present, some with a fraction that storage drops.
func (g *Generator) time(percent int) time.Time {
	if !g.chance(percent) {
		return time.Time{}
	}
	const first, end = -62167219200, 253402300800 // years 0 to 9999
	switch g.rng.IntN(20) {
	case 0:
		return time.Unix(first+g.rng.Int64N(end-first), 0).UTC()
	case 1:
		return time.Unix(g.rng.Int64N(7)-3, 0).UTC()
	case 2:
		return time.Unix(math.MaxInt32+g.rng.Int64N(3)-1, 0).UTC()
	default:
		return time.Unix(epoch+g.rng.Int64N(300_000_000), g.rng.Int64N(1_000_000_000)).UTC()
	}
}

// alphabets that a text draws its characters from; the first is the usual one.
var alphabets = []string{
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./ ",
	"äöüßéñøçÅ€£µ漢字かなカナ한글שלוםمرحباпривет",
	"😀🎉🏳🌈👩🚀𝒳𐍈",
	"<>&'\"\\/{}[]:,",
	"\x00\x01\b\f\n\r\t\x1f\x7f\u0080\u009f\u00a0",
	"\u2027\u2028\u2029\u202e\ufeff\ufffd\ufffe\uffff\U0010ffff",
}

// text is up to longest characters, one text in four with odd ones among them.
func (g *Generator) text(longest int) string {
	odd := g.chance(25)
	var b strings.Builder
	for range g.rng.IntN(longest + 1) {
		alphabet := []rune(alphabets[0])
		if odd {
			alphabet = []rune(alphabets[g.rng.IntN(len(alphabets))])
		}
		b.WriteRune(alphabet[g.rng.IntN(len(alphabet))])
	}
	return b.String()
}

func (g *Generator) origin() (api.Multiaddr, error) {
	id := g.pool[g.rng.IntN(len(g.pool))]
	port := g.rng.IntN(65536)
	var text string
	switch g.rng.IntN(8) {
	case 0:
		b := g.bytes(16)
		for i := range b { // zero groups exercise the shortening of addresses
			if g.chance(50) {
				b[i] = 0
			}
		}
		text = "/ip6"
		for i := 0; i < 16; i += 2 {
			sep := ":"
			if i == 0 {
				sep = "/"
			}
			text += fmt.Sprintf("%s%x", sep, uint(b[i])<<8|uint(b[i+1]))
		}
		text += fmt.Sprintf("/tcp/%d/p2p/%s", port, id)
	case 1:
		text = fmt.Sprintf("/dns4/node-%d.example.org/tcp/%d/p2p/%s", g.rng.IntN(100), port, id)
	case 2:
		text = fmt.Sprintf("/dnsaddr/peer.example.net/p2p/%s", id)
	case 3:
		text = fmt.Sprintf("/dns/Mixed.Example.org/tcp/%d/wss/p2p/%s", port, id)
	case 4:
		text = fmt.Sprintf("/ip4/10.%d.%d.7/udp/%d/quic-v1/p2p/%s", g.rng.IntN(256), g.rng.IntN(256), port, id)
	case 5:
		text = fmt.Sprintf("/ip4/192.0.2.%d/tcp/%d/p2p/%s/p2p-circuit/p2p/%s", g.rng.IntN(256), port, id, g.pool[0])
	default:
		text = fmt.Sprintf("/ip4/198.51.100.%d/tcp/%d/p2p/%s", g.rng.IntN(256), port, id)
	}
	return api.NewMultiaddr(text)
}
