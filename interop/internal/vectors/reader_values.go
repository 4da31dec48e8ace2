package vectors

import (
	"fmt"
	"strings"

	"github.com/ipfs/go-cid"
	peer "github.com/libp2p/go-libp2p/core/peer"
	mb "github.com/multiformats/go-multibase"
	mh "github.com/multiformats/go-multihash"
)

func jsonTextCases(c *readerCases) {
	for _, s := range []struct{ name, inner string }{
		{"plain", "plain"}, {"empty", ""}, {"short escapes", `\"\\\/\b\f\n\r\t`}, {"u escapes", `\u0041\u00e9\u20ac\u2028`}, {"upper-case hex", `\u00E9\uFFFD`},
		{"NUL escape", `a\u0000b`}, {"pair", `\ud83d\ude00`}, {"pair in upper case", `\uD83D\uDE00`}, {"lone high", `a\ud83db`}, {"lone low", `a\ude00b`}, {"reversed pair", `\ude00\ud83d`},
		{"high then escape", `\ud83d\u0041`}, {"high then text", `\ud83dA`}, {"high high low", `\ud83d\ud83d\ude00`}, {"high at the end", `\ud83d`}, {"high then newline escape", `\ud83d\n`},
		{"raw high plane", "😀"}, {"raw invalid byte", "a\xffb"}, {"raw two invalid bytes", "a\xff\xfeb"}, {"raw cut sequence", "a\xe2\x82b"}, {"raw cut sequence at the end", "a\xe2\x82"},
		{"raw surrogate", "\xed\xa0\x80"}, {"raw overlong", "\xc0\xaf"}, {"raw beyond", "\xf4\x90\x80\x80"}, {"raw replacement", "\ufffd"}, {"DEL", "a\x7fb"}, {"C1", "\u0085"}, {"raw separators", "\u2028\u2029"},
		{"raw tab", "a\tb"}, {"raw newline", "a\nb"}, {"raw carriage return", "a\rb"}, {"raw NUL", "a\x00b"}, {"raw 0x1f", "a\x1fb"}, {"bad escape", `a\xb`}, {"escape at the end", `a\`},
		{"short u escape", `\u12`}, {"u escape with sign", `\u+123`}, {"quote escape only", `\"`}, {"apostrophe escape", `\'`}, {"html escapes", `\u003c\u003E\u0026`}, {"BOM", "\ufeffx"},
		{"long", strings.Repeat("0123456789", 300)},
	} {
		c.add("name: "+s.name, plain(`"name":"`+s.inner+`"`))
		c.add("metadata key: "+s.name, plain(`"metadata":{"`+s.inner+`":"v"}`))
		c.add("metadata value: "+s.name, plain(`"metadata":{"k":"`+s.inner+`"}`))
	}
	for _, m := range []string{"null", "{}", `{"":""}`, `{"k":null}`, `{"k":5}`, `{"k":true}`, `{"k":[]}`, `{"k":{}}`, `[]`, `[["k","v"]]`, `"k"`, "5", `{"b":"1","a":"2","c":"3"}`,
		`{"k":"first","k":"second"}`, `{"k":"first","k":null}`, "{\"\xff\":\"1\",\"\xfe\":\"2\"}", `{"\ud800":"1","\ufffd":"2"}`, `{"K":"1","k":"2"}`, `{"k":"good","b":5,"c":"after"}`, `{"k" : "v" , "l" : "w"}`} {
		c.add(fmt.Sprintf("metadata %q", m), plain(`"metadata":`+m))
	}
}

// cidTexts are CIDs in every text form, and texts that are none.
func cidTexts() []struct{ name, text string } {
	v0, v1 := cidV0("text"), cidRaw("text")
	out := []struct{ name, text string }{
		{"v0", v0.String()}, {"v1", v1.String()}, {"v1 dag-pb", cidV1("text", cid.DagProtobuf).String()}, {"identity", cidWith("hi", mh.IDENTITY, -1).String()},
		{"empty identity", cidWith("", mh.IDENTITY, -1).String()}, {"sha2-512", cidWith("a", mh.SHA2_512, -1).String()}, {"unknown codec", cidV1("a", 0x3fffff).String()},
		{"upper-case base32", strings.ToUpper(v1.String())}, {"mixed-case base32", v1.String()[:20] + strings.ToUpper(v1.String()[20:])}, {"empty", ""}, {"one character", "b"}, {"Qm alone", "Qm"},
		{"v0 cut", v0.String()[:45]}, {"v0 longer", v0.String() + "1"}, {"v0 bad letter", v0.String()[:45] + "0"}, {"v1 cut", v1.String()[:58]}, {"v1 longer", v1.String() + "a"}, {"v1 padded", v1.String() + "="},
		{"v1 bad letter", v1.String()[:58] + "1"}, {"stray bits", v1.String()[:58] + "b"}, {"leading space", " " + v1.String()}, {"trailing space", v1.String() + " "}, {"trailing newline", v1.String() + `\n`},
		{"path", "/ipfs/" + v0.String()}, {"url", "ipfs://" + v1.String()}, {"peer ID", ed25519Peer(1).String()}, {"libp2p-key", peer.ToCid(ed25519Peer(1)).String()}, {"unknown base", "!" + v1.String()[1:]},
		{"raw bytes as identity base", `\u0000\u0001\u0055\u0000\u0000`}, {"escaped letters", `\u0051` + v0.String()[1:]}, {"text", "not a cid"}, {"non-ASCII", "bäfk"}, {"v0 in base32", must(mb.Encode(mb.Base32, v0.Bytes()))}, {"v0 in base58 with prefix", must(mb.Encode(mb.Base58BTC, v0.Bytes()))},
		{"v0 in base16", must(mb.Encode(mb.Base16, v0.Bytes()))}, {"46 characters not v0", "Qm" + strings.Repeat("1", 44)}, {"46 characters starting b", "b" + strings.Repeat("a", 45)},
	}
	for name, base := range mb.Encodings {
		if name == "identity" {
			continue // raw bytes are no JSON text
		}
		out = append(out, struct{ name, text string }{"in " + name, must(mb.Encode(base, v1.Bytes()))})
	}
	for _, b := range badCidBytes() {
		out = append(out, struct{ name, text string }{"bytes: " + b.name, must(mb.Encode(mb.Base32, b.b))})
	}
	return out
}

func idCases(c *readerCases) {
	texts := cidTexts()
	sortByName(texts)
	for _, t := range texts {
		c.add("cid "+t.name, doc(`"type":"pin"`, `"max_depth":-1`, `"cid":"`+t.text+`"`))
		if !strings.HasPrefix(t.name, "in ") {
			c.add("pin_update "+t.name, plain(`"pin_update":"`+t.text+`"`))
			c.add("reference "+t.name, plain(`"reference":"`+t.text+`"`))
		}
	}
	c.add("legacy cid object", doc(`"cid":{"/":"`+cidV0("legacy").String()+`"}`, `"type":2`, `"max_depth":-1`))
	c.add("plain cid, legacy type", doc(cidMember("legacy"), `"type":2`, `"max_depth":-1`))
	c.add("cid missing", doc(`"type":"pin"`, `"name":"no cid"`))

	id := ed25519Peer(4)
	for _, p := range []struct{ name, text string }{
		{"ed25519", id.String()}, {"rsa", rsaPeer(4).String()}, {"secp256k1", secpPeer(4).String()}, {"CIDv1", peer.ToCid(id).String()}, {"CIDv1 of rsa", peer.ToCid(rsaPeer(4)).String()},
		{"CIDv1 in base36", must(peer.ToCid(id).StringOfBase(mb.Base36))}, {"CIDv1 in base58", must(peer.ToCid(id).StringOfBase(mb.Base58BTC))}, {"CIDv1 in base16", must(peer.ToCid(id).StringOfBase(mb.Base16))},
		{"CIDv1 dag-pb", cid.NewCidV1(cid.DagProtobuf, mh.Multihash(id)).String()}, {"CIDv1 raw", cid.NewCidV1(cid.Raw, mh.Multihash(id)).String()}, {"empty", ""}, {"1", "1"}, {"Qm", "Qm"}, {"11", "11"}, {"111", "111"},
		{"text", "peer"}, {"cut", id.String()[:40]}, {"longer", id.String() + "1"}, {"bad letter", id.String()[:51] + "0"}, {"space", " " + id.String()}, {"base58 not starting with 1 or Qm", "5" + strings.Repeat("a", 40)},
		{"identity hash of nothing", peer.ID(digest(mh.IDENTITY, nil)).String()}, {"sha2-512", peer.ID(cidWith("a", mh.SHA2_512, -1).Hash()).String()}, {"escaped", `\u0031` + id.String()[1:]}, {"path", "/p2p/" + id.String()},
	} {
		c.add("allocation "+p.name, plain(`"allocations":["`+p.text+`"]`))
		c.add("user allocation "+p.name, plain(`"user_allocations":["`+p.text+`"]`))
	}
	two := `"` + id.String() + `","` + rsaPeer(4).String() + `"`
	for _, a := range []string{"null", "[]", "[" + two + "," + two + "]", "[ " + strings.ReplaceAll(two, ",", " , ") + " ]", "[" + two + ",null]", "[" + two + ",5]", "[[" + two + "]]", `"` + id.String() + `"`, "{}", "[" + two + ",]"} {
		c.add("allocations list "+fmt.Sprintf("%.60s (%d bytes)", a, len(a)), plain(`"allocations":`+a))
	}
	for _, text := range append(originTexts(), "", "/", "//", "ip4/1.2.3.4", "/ip4", "/ip4/", "/ip4/1.2.3", "/ip4/01.2.3.4", "/ip4/1.2.3.4/tcp", "/ip4/1.2.3.4/tcp/65536", "/ip4/1.2.3.4/tcp/-1", "/ip4/1.2.3.4/tcp/080",
		"/ip6/1::2::3", "/ip6/::1%eth0", "/nope/1", "/ip4/1.2.3.4/tcp/80 ", " /ip4/1.2.3.4", "/ip4/1.2.3.4///", "/p2p/", "/p2p/bad", "/unix", "/unix/", "/dns4//tcp/1", "/IP4/1.2.3.4", "/ip4/1.2.3.4/TCP/1", "http://a.example/") {
		c.add(fmt.Sprintf("origin %.80q (%d bytes)", text, len(text)), plain(`"origins":["`+text+`"]`))
	}
	for _, o := range []string{"null", "[]", "[null]", `["/ip4/1.2.3.4",null]`, `["/ip4/1.2.3.4","/ip4/1.2.3.4"]`, `"/ip4/1.2.3.4"`, `[5]`, `[["/ip4/1.2.3.4"]]`, `["\u002fip4/1.2.3.4"]`, `["\/ip4\/1.2.3.4"]`} {
		c.add("origins list "+o, plain(`"origins":`+o))
	}
}

func jsonTimeCases(c *readerCases) {
	for _, t := range []string{
		`"2024-06-15T12:00:00Z"`, `"2024-06-15T12:00:00+02:00"`, `"2024-06-15T12:00:00-07:30"`, `"2024-06-15T12:00:00+00:00"`, `"2024-06-15T12:00:00-00:00"`, `"2024-06-15T12:00:00+23:59"`, `"2024-06-15T12:00:00+24:00"`,
		`"2024-06-15T12:00:00+23:60"`, `"2024-06-15T12:00:00+23:61"`, `"2024-06-15T12:00:00+24:60"`, `"2024-06-15T12:00:00-24:60"`, `"2024-06-15T12:00:00+25:00"`, `"2024-06-15T12:00:00+14:00"`, `"2024-06-15T12:00:00+0200"`, `"2024-06-15T12:00:00+02"`, `"2024-06-15T12:00:00+2:00"`, `"2024-06-15T12:00:00 +02:00"`, `"2024-06-15T12:00:00+02:00Z"`, `"2024-06-15T12:00:00−02:00"`,
		`"2024-06-15T12:00:00.5Z"`, `"2024-06-15T12:00:00.999999999Z"`, `"2024-06-15T12:00:00.9999999999Z"`, `"2024-06-15T12:00:00.12345678901234567890Z"`, `"2024-06-15T12:00:00.000Z"`, `"2024-06-15T12:00:00,5Z"`, `"2024-06-15T12:00:00,Z"`, `"2024-06-15T12:00:00.Z"`, `"2024-06-15T12:00:00.5x"`, `"2024-06-15T12:00:00.5.5Z"`, `"2024-06-15T12:00:00;5Z"`,
		`"2024-06-15T12:00:00"`, `"2024-06-15T12:00Z"`, `"2024-06-15"`, `"2024-06-15T12Z"`, `"2024-06-15 12:00:00Z"`, `"2024-06-15t12:00:00Z"`, `"2024-06-15T12:00:00z"`, `" 2024-06-15T12:00:00Z"`, `"2024-06-15T12:00:00Z "`, `"20240615T120000Z"`,
		`"2024-06-15T1:00:00Z"`, `"2024-06-15T01:0:00Z"`, `"2024-06-15T01:00:0Z"`, `"2024-6-15T01:00:00Z"`, `"2024-06-5T01:00:00Z"`, `"224-06-15T01:00:00Z"`, `"12024-06-15T01:00:00Z"`, `"-2024-06-15T01:00:00Z"`, `"+2024-06-15T01:00:00Z"`,
		`"2024-06-15T24:00:00Z"`, `"2024-06-15T23:60:00Z"`, `"2024-06-15T23:59:60Z"`, `"2024-06-30T23:59:60Z"`, `"2024-06-15T23:59:61Z"`, `"2024-00-15T00:00:00Z"`, `"2024-13-15T00:00:00Z"`, `"2024-06-00T00:00:00Z"`, `"2024-06-31T00:00:00Z"`, `"2024-06-32T00:00:00Z"`, `"2024-02-29T00:00:00Z"`, `"2023-02-29T00:00:00Z"`, `"2024-02-30T00:00:00Z"`, `"1900-02-29T00:00:00Z"`, `"2000-02-29T00:00:00Z"`, `"0000-02-29T00:00:00Z"`,
		`"0000-01-01T00:00:00Z"`, `"0000-01-01T00:00:00+01:00"`, `"0001-01-01T00:00:00Z"`, `"0001-01-01T00:00:00+01:00"`, `"0001-01-01T01:00:00+01:00"`, `"0001-01-01T00:00:00.5Z"`, `"0000-12-31T23:59:59Z"`, `"9999-12-31T23:59:59Z"`, `"9999-12-31T23:59:59-23:59"`, `"9999-12-31T23:59:59.999999999Z"`,
		`"1970-01-01T00:00:00Z"`, `"1970-01-01T01:00:00+01:00"`, `"1970-01-01T00:00:00.000000001Z"`, `"1970-01-01T00:00:00.0Z"`, `"1969-12-31T23:59:59Z"`, `"1969-12-31T23:59:59.5Z"`, `"1969-12-31T23:59:58.5Z"`, `"1970-01-01T00:00:01Z"`,
		`"\u0032024-06-15T12:00:00Z"`, `"2024-06-15T12:00:00\u005a"`, `"2024-06-15T12:00:00Z\n"`, `""`, `"Z"`, `"null"`, "null", "0", "1718452800", "true", "[]", "{}", `"2024-06-15T12:00:00Z[UTC]"`, `"2024-06-15T12:00:00 UTC"`, `"now"`, `"２024-06-15T12:00:00Z"`,
		`"2024-06-15T12:00:00+99:99"`, `"2024-06-15T12:00:00+aa:00"`, `"2024-06-15T-1:00:00Z"`, `"2024-06-15T1x:00:00Z"`, `"2024-06-15T1:00:00.5+01:00"`, `"2024-06-15T12:00:00.+01:00"`, `"2024_06-15T12:00:00Z"`, `"2024-06-15T12.00:00Z"`,
	} {
		c.add("expire_at "+t, plain(`"expire_at":`+t))
		c.add("timestamp "+t, plain(`"timestamp":`+t))
	}
}

func containerCases(c *readerCases) {
	full := exported("full")
	c.add("exported document", full)
	c.add("exported document with spaces everywhere", strings.NewReplacer(`":`, `" : `, `,"`, " ,\n\t\""+"").Replace(full))
	c.add("fields in reverse", doc(`"timestamp":"2024-06-15T12:00:00Z"`, `"reference":"`+cidV0("r").String()+`"`, `"max_depth":1`, `"allocations":["`+ed25519Peer(1).String()+`"]`, `"type":"shard-pin"`, cidMember("reverse"),
		`"origins":["/ip4/1.2.3.4"]`, `"pin_update":null`, `"metadata":{"b":"2","a":"1"}`, `"expire_at":"2030-01-01T00:00:00Z"`, `"user_allocations":null`, `"shard_size":3`, `"mode":"direct"`, `"name":"r"`, `"replication_factor_max":-1`, `"replication_factor_min":-1`))
	c.add("minimal old document", doc(cidMember("old"), `"name":"old"`, `"allocations":[]`, `"replication_factor_min":-1`, `"replication_factor_max":-1`))
	c.add("REST form with nanoseconds", doc(`"replication_factor_min":1`, `"replication_factor_max":2`, `"name":"rest"`, `"mode":"recursive"`, `"shard_size":0`, `"user_allocations":[]`, `"expire_at":"0001-01-01T00:00:00Z"`, `"metadata":{}`, `"pin_update":null`, `"origins":null`,
		cidMember("rest"), `"type":"pin"`, `"allocations":["`+ed25519Peer(1).String()+`"]`, `"max_depth":-1`, `"reference":null`, `"timestamp":"2024-06-15T12:00:00.123456789Z"`))
	c.add("replication above 32 bits", plain(`"replication_factor_min":2147483648`, `"replication_factor_max":4294967297`))
	c.add("allocations many", plain(`"allocations":["`+strings.Join(peerTexts(25), `","`)+`"]`))
}

func peerTexts(n int) []string {
	out := make([]string, n)
	for i, p := range peers(n) {
		out[i] = p.String()
	}
	return out
}
