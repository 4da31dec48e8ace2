package vectors

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs/go-cid"
	peer "github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// goodCids are CIDs of every form that may be a key.
func goodCids() []struct {
	name string
	cid  api.Cid
} {
	type named = struct {
		name string
		cid  api.Cid
	}
	return []named{
		{"v0", cidV0("a")}, {"v1 dag-pb", cidV1("a", cid.DagProtobuf)}, {"v1 raw", cidRaw("a")},
		{"v1 dag-cbor", cidV1("a", cid.DagCBOR)}, {"v1 libp2p-key", cidV1("a", cid.Libp2pKey)},
		{"v1 unknown codec", cidV1("a", 0x3fffff)}, {"v1 codec 0", cidV1("a", 0)},
		{"v1 codec of 9 bytes", cidV1("a", 1<<62)},
		{"identity", cidWith("hello", mh.IDENTITY, -1)}, {"empty identity", cidWith("", mh.IDENTITY, -1)},
		{"long identity", cidWith(strings.Repeat("x", 127), mh.IDENTITY, -1)},
		{"sha2-512", cidWith("a", mh.SHA2_512, -1)}, {"sha1", cidWith("a", mh.SHA1, -1)}, {"md5", cidWith("a", mh.MD5, -1)},
		{"truncated sha2-256", cidWith("a", mh.SHA2_256, 20)},
		{"unknown hash", api.NewCid(cid.NewCidV1(cid.Raw, digest(0x300099, []byte("digest"))))},
		{"v1 around a v0 hash", api.NewCid(cid.NewCidV1(cid.DagProtobuf, hashOf("a")))},
	}
}

// badCidBytes are bytes that cid.Cast refuses or that look as if it would.
func badCidBytes() []struct {
	name string
	b    []byte
} {
	v1 := cidRaw("odd").Bytes()
	v0 := cidV0("odd").Bytes()
	return []struct {
		name string
		b    []byte
	}{
		{"empty", nil}, {"one zero", []byte{0}}, {"one byte", []byte{1}}, {"version and codec only", []byte{1, 0x55}},
		{"text", []byte(cidV0("odd").String())}, {"v0 with a byte more", append(bytes.Clone(v0), 0)}, {"v0 with a byte less", v0[:33]},
		{"v1 with a byte more", append(bytes.Clone(v1), 0)}, {"v1 with a byte less", v1[:len(v1)-1]},
		{"version 2", append([]byte{2}, v1[1:]...)}, {"version 0 explicit", append([]byte{0}, v1[1:]...)},
		{"version 3", append([]byte{3}, v1[1:]...)}, {"version 18", append([]byte{18}, v1[1:]...)},
		{"version not minimal", append([]byte{0x81, 0}, v1[1:]...)},
		{"codec not minimal", append([]byte{1, 0xd5, 0}, v1[2:]...)},
		{"codec of 10 bytes", append([]byte{1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1}, v1[2:]...)},
		{"hash code not minimal", append([]byte{1, 0x55, 0x92, 0, 0x20}, v1[4:]...)},
		{"digest length not minimal", append([]byte{1, 0x55, 0x12, 0xa0, 0}, v1[4:]...)},
		{"sha2-256 with 33 bytes", append(append([]byte{1, 0x55, 0x12, 0x21}, v1[4:]...), 7)},
		{"sha2-256 with 0 bytes", []byte{1, 0x55, 0x12, 0}},
		{"v0 hash with 31 bytes", append([]byte{0x12, 0x1f}, v0[3:]...)},
		{"v0 hash of sha1", append([]byte{0x11, 0x14}, v0[2:22]...)},
		{"34 bytes of v1", append([]byte{1, 0x55, 0, 30}, v0[4:]...)},
		{"digest of 200 bytes, identity", append([]byte{1, 0x55, 0, 0xc8, 1}, bytes.Repeat([]byte{9}, 200)...)},
		{"huge digest length", []byte{1, 0x55, 0x12, 0xff, 0xff, 0xff, 0xff, 0x7f}},
	}
}

func cidCases(c *pinCases) {
	for _, k := range goodCids() {
		c.pin("cid "+k.name, with(func(p *api.Pin) { p.Cid = k.cid }))
		c.pin("reference "+k.name, with(func(p *api.Pin) { p.Reference = &k.cid }))
		c.pin("pin_update "+k.name, with(func(p *api.Pin) { p.PinUpdate = k.cid }))
	}
	undefined := api.CidUndef
	c.pin("reference undefined", with(func(p *api.Pin) { p.Reference = &undefined }))
	for _, b := range badCidBytes() {
		c.raw("odd reference: "+b.name, wire{}.bytes(pinReference, b.b).options(nil))
		c.raw("odd pin_update: "+b.name, wire{}.options(wire{}.bytes(optPinUpdate, b.b)))
		c.raw("odd cid inside: "+b.name, wire{}.bytes(pinCid, b.b).options(nil))
	}
	good, other := cidRaw("good").Bytes(), cidV0("other").Bytes()
	c.raw("reference twice", wire{}.bytes(pinReference, good).bytes(pinReference, other))
	c.raw("reference good then bad", wire{}.bytes(pinReference, good).bytes(pinReference, []byte("bad")))
	c.raw("reference bad then good", wire{}.bytes(pinReference, []byte("bad")).bytes(pinReference, good))
	c.raw("pin_update good then empty", wire{}.options(wire{}.bytes(optPinUpdate, good).bytes(optPinUpdate, nil)))
	c.raw("cid inside differs from the key", wire{}.bytes(pinCid, other).options(nil))
	c.raw("cid inside absent", wire{}.varint(pinType, 1).options(nil))
}

func peerCases(c *pinCases) {
	allocs := func(name string, ids ...peer.ID) {
		c.pin("allocations "+name, with(func(p *api.Pin) { p.Allocations = ids }))
	}
	allocs("none")
	allocs("ed25519", ed25519Peer(0))
	allocs("rsa", rsaPeer(0))
	allocs("secp256k1", secpPeer(0))
	allocs("mixed and duplicate", ed25519Peer(3), rsaPeer(1), ed25519Peer(3), secpPeer(1), ed25519Peer(2))
	allocs("many", peers(40)...)
	allocs("empty identity", peer.ID(digest(mh.IDENTITY, nil)))
	allocs("leading zeros", peer.ID(digest(mh.IDENTITY, []byte{0, 0, 0, 5})))
	allocs("long identity", peer.ID(digest(mh.IDENTITY, bytes.Repeat([]byte{0xfe}, 300))))
	allocs("unknown hash code", peer.ID(digest(0x1234567, []byte("digest"))))
	allocs("sha2-512", peer.ID(cidWith("a", mh.SHA2_512, -1).Hash()))
	c.pin("user allocations are lost", with(func(p *api.Pin) { p.UserAllocations = peers(2) }))

	id := []byte(ed25519Peer(0))
	sha := []byte(rsaPeer(0))
	for _, b := range []struct {
		name string
		b    []byte
	}{
		{"empty", nil}, {"one zero", []byte{0}}, {"text form", []byte(ed25519Peer(0).String())},
		{"a byte more", append(bytes.Clone(id), 0)}, {"a byte less", id[:len(id)-1]},
		{"sha2-256 a byte less", sha[:33]}, {"sha2-256 a byte more", append(bytes.Clone(sha), 1)},
		{"sha2-256 shorter, length agrees", append([]byte{0x12, 0x10}, sha[2:18]...)},
		{"sha2-256 longer, length agrees", append([]byte{0x12, 0x22}, append(bytes.Clone(sha[2:]), 1, 2)...)},
		{"sha2-256 of length 0", []byte{0x12, 0}},
		{"code not minimal", append([]byte{0x80, 0, 0x24}, id[2:]...)},
		{"length not minimal", append([]byte{0, 0xa4, 0}, id[2:]...)},
		{"huge length", []byte{0, 0xff, 0xff, 0xff, 0xff, 0x0f}}, {"length over 64 bits", append([]byte{0}, bytes.Repeat([]byte{0xff}, 11)...)},
		{"code of 9 bytes", append([]byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40, 1}, 7)},
		{"CIDv1 of the peer", append([]byte{1, 0x72}, id...)}, {"garbage", []byte("not a multihash")},
		{"code without length", []byte{0x12}}, {"murmur3 code", []byte{0x22, 4, 1, 2, 3, 4}},
	} {
		c.raw("odd allocation: "+b.name, wire{}.bytes(pinAllocations, b.b).options(nil))
	}
	c.raw("odd allocation after good ones", wire{}.bytes(pinAllocations, id).bytes(pinAllocations, sha).bytes(pinAllocations, []byte("bad")))
	c.raw("allocations apart in the record", wire{}.bytes(pinAllocations, id).varint(pinType, 1).bytes(pinAllocations, sha).options(nil).bytes(pinAllocations, secpBytes()))
}

func secpBytes() []byte { return []byte(secpPeer(0)) }

// originTexts are addresses of every shape that this version of go-multiaddr reads.
func originTexts() []string {
	p := ed25519Peer(7).String()
	certs := "/certhash/uEiAkH5a4DPGKUuOBjYw0CgwjvcJCJMD2K_1aluKR_tpevQ"
	return []string{
		"/ip4/1.2.3.4/tcp/4001/p2p/" + p, "/ip4/1.2.3.4/tcp/4001/ipfs/" + p, "/p2p/" + rsaPeer(2).String(),
		"/ip4/0.0.0.0/udp/0", "/ip4/255.255.255.255/udp/65535/quic", "/ip4/1.2.3.4/udp/4001/quic-v1/p2p/" + secpPeer(2).String(),
		"/ip6/::1/tcp/80", "/ip6/2001:db8:0:0:0:0:0:1/tcp/80", "/ip6/2001:DB8::A:0:0:B/tcp/80", "/ip6/::ffff:1.2.3.4/tcp/1",
		"/ip6/::1.2.3.4/tcp/1", "/ip6/1:0:0:2:0:0:0:3/tcp/1", "/ip6/1:2:3:4:5:6:0:8/tcp/1", "/ip6/::/udp/1", "/ip6/fe80::1/tcp/9",
		"/ip6zone/eth0/ip6/fe80::1/tcp/4001", "/ip6zone/a b/ip6/::1",
		"/dns/example.com/tcp/443/wss", "/dns4/bücher.example/tcp/443/https", "/dns6/Example.COM/tcp/80/http", "/dnsaddr/bootstrap.libp2p.io/p2p/" + p,
		"/ip4/1.2.3.4/tcp/80/ws/p2p/" + p, "/ip4/1.2.3.4/tcp/443/tls/ws", "/ip4/1.2.3.4/tcp/443/tls/sni/example.com/ws", "/ip4/1.2.3.4/tcp/1/noise",
		"/ip4/1.2.3.4/udp/9/quic-v1/webtransport" + certs + certs, "/ip4/1.2.3.4/udp/9/webrtc-direct" + certs, "/ip4/1.2.3.4/udp/9/webrtc",
		"/ip4/1.2.3.4/tcp/1/p2p/" + p + "/p2p-circuit/p2p/" + ed25519Peer(8).String(), "/p2p-circuit", "/ip4/1.2.3.4/udp/1/utp", "/ip4/1.2.3.4/udp/1/udt",
		"/ip4/1.2.3.4/sctp/1", "/ip4/1.2.3.4/dccp/1", "/ip4/10.0.0.0/ipcidr/8", "/unix/tmp/socket", "/unix/a/b c/d", "/memory/1234", "/memory/18446744073709551615",
		"/onion/timaq4ygg2iegci7:1234/http", "/onion3/vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd:1234",
		"/garlic32/566niximlxdzpanmn4qouucvua3k7neniwss47li5r6ugoertzuq", "/tcp/1/http-path/foo%2Fbar", "/ip4/1.2.3.4/tcp/80/http/http-path/a%20b",
		"/ip4/1.2.3.4/tcp/4001/", "/ip4/1.2.3.4//tcp/4001", "/p2p-webrtc-star", "/p2p-webrtc-direct", "/ip4/1.2.3.4/tcp/1/x-parity-ws/9", "/plaintextv2", "/p2p-websocket-star",
		"/dns4/a/tcp/1", "/dns4/under_score.example./tcp/1", "/dns4/%41/tcp/1", "/ip4/1.2.3.4/tcp/1/sni/" + strings.Repeat("x", 200),
		"/p2p/" + cidV1("p", cid.Libp2pKey).String(), "/p2p/1",
	}
}

func originCases(c *pinCases) {
	for _, text := range originTexts() {
		ma, err := api.NewMultiaddr(text)
		if err != nil {
			continue // the JSON reader's vectors tell which texts are refused
		}
		c.pin("origin "+text, with(func(p *api.Pin) { p.Origins = []api.Multiaddr{ma} }))
	}
	one, two := addr("/ip4/1.2.3.4/tcp/1"), addr("/dns4/a.example/tcp/2")
	c.pin("origins in order, with a duplicate", with(func(p *api.Pin) { p.Origins = []api.Multiaddr{two, one, two} }))
	c.pin("origins empty list", with(func(p *api.Pin) { p.Origins = []api.Multiaddr{} }))

	ip := one.Bytes()
	id := []byte(ed25519Peer(0))
	p2p := func(body []byte) []byte { return append([]byte{0xa5, 3, byte(len(body))}, body...) }
	sized := func(code []byte, body string) []byte { return append(append(code, byte(len(body))), body...) }
	for _, b := range []struct {
		name string
		b    []byte
	}{
		{"empty", nil}, {"one zero", []byte{0}}, {"text form", []byte("/ip4/1.2.3.4")}, {"garbage", []byte{0xff, 0xff, 0xff}},
		{"cut ip4", ip[:3]}, {"cut tcp", ip[:len(ip)-1]}, {"tcp code alone", ip[:len(ip)-2]}, {"a byte more", append(bytes.Clone(ip), 0)},
		{"unknown protocol", []byte{0xf0, 0x7f, 1}}, {"code not minimal", append([]byte{0x84, 0}, ip[1:]...)},
		{"tcp code not minimal", append(bytes.Clone(ip[:5]), 0x86, 0, 0, 1)}, {"tcp without ip", []byte{6, 0, 80}},
		{"p2p of a peer", p2p(id)}, {"p2p of a CIDv1", p2p(append([]byte{1, 0x72}, id...))}, {"p2p of a raw CIDv1", p2p(append([]byte{1, 0x55}, id...))},
		{"p2p empty", p2p(nil)}, {"p2p garbage", p2p([]byte("nope"))}, {"p2p length too long", append([]byte{0xa5, 3, 60}, id...)},
		{"p2p length not minimal", append([]byte{0xa5, 3, 0xa6, 0}, id...)},
		{"dns4 empty", sized([]byte{54}, "")}, {"dns4 with slash", sized([]byte{54}, "a/b")}, {"dns4 invalid UTF-8", sized([]byte{54}, "a\xffb")},
		{"dns4 with html", sized([]byte{54}, "<a&b>\u2028\n")}, {"unix empty", sized([]byte{0x90, 3}, "")}, {"unix without slash", sized([]byte{0x90, 3}, "tmp/x")},
		{"unix with slash", sized([]byte{0x90, 3}, "/tmp/x")}, {"unix trailing slash", sized([]byte{0x90, 3}, "/tmp/x/")},
		{"unix then more", append(sized([]byte{0x90, 3}, "/tmp/x"), ip...)},
		{"ip6zone empty", sized([]byte{42}, "")}, {"ip6zone with slash", sized([]byte{42}, "a/b")},
		{"ip6zone then ip6", append(sized([]byte{42}, "eth0"), append([]byte{41}, bytes.Repeat([]byte{0}, 16)...)...)},
		{"certhash empty", sized([]byte{0xd2, 3}, "")}, {"certhash garbage", sized([]byte{0xd2, 3}, "xx")},
		{"sni with slash", sized([]byte{0xc1, 3}, "a/b")}, {"http-path empty", sized([]byte{0xe1, 3}, "")},
		{"http-path with slash", sized([]byte{0xe1, 3}, "a/b c")}, {"memory", []byte{0x89, 6, 0, 0, 0, 0, 0, 0, 0, 9}},
		{"ipcidr", []byte{43, 255}}, {"onion3 cut", append([]byte{0xbd, 3}, bytes.Repeat([]byte{1}, 36)...)}, {"onion3", append([]byte{0xbd, 3}, bytes.Repeat([]byte{1}, 37)...)},
		{"onion port zero", append([]byte{0xbc, 3}, make([]byte, 12)...)}, {"garlic64 short", sized([]byte{0xbe, 3}, "short")},
		{"ws alone", []byte{0xdd, 3}}, {"two p2p", append(p2p(id), p2p(id)...)},
	} {
		c.raw("odd origin: "+b.name, wire{}.options(wire{}.bytes(optOrigins, b.b)))
	}
	c.raw("odd origin after a good one", wire{}.options(wire{}.bytes(optOrigins, ip).bytes(optOrigins, []byte("bad"))))
	c.raw("bad origin and bad allocation", wire{}.bytes(pinAllocations, []byte("bad")).options(wire{}.bytes(optOrigins, []byte("bad"))))
	c.raw(fmt.Sprintf("%d origins", 30), wire{}.options(bytes.Repeat(wire{}.bytes(optOrigins, ip), 30)))
}
