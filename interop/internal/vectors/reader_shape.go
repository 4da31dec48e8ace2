package vectors

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// doc is a JSON document of the given members.
func doc(members ...string) string { return "{" + strings.Join(members, ",") + "}" }

// cidMember is the "cid" member for a CID made from a name.
func cidMember(name string) string { return fmt.Sprintf(`"cid":"%s"`, cidRaw(name)) }

// plain is a valid document with some members added after its own.
func plain(members ...string) string {
	return doc(append([]string{cidMember("plain"), `"type":"pin"`, `"max_depth":-1`}, members...)...)
}

// exported is a full document as `state export` writes it.
func exported(name string) string {
	p := with(func(p *api.Pin) {
		p.Cid, p.Name = cidRaw(name), name
		p.Timestamp = someTime(someDay)
		p.Metadata = map[string]string{"k": "v<>&"}
		p.Origins = []api.Multiaddr{addr("/ip4/1.2.3.4/tcp/1/p2p/" + rsaPeer(1).String())}
	})
	return string(must(json.Marshal(p)))
}

func indented(document string) string {
	var out bytes.Buffer
	if err := json.Indent(&out, []byte(document), "", "\t"); err != nil {
		panic(err)
	}
	return out.String()
}

// streamCases are about what lies between documents, and how streams end.
func streamCases(c *readerCases) {
	a, b, d := exported("a"), exported("b"), exported("d")
	c.add("empty input", "")
	c.add("only white space", " \n\t\r\n ")
	c.add("one line", a+"\n")
	c.add("no final newline", a)
	c.add("three lines", a+"\n"+b+"\n"+d+"\n")
	c.add("no separators", a+b+d)
	c.add("separated by spaces", a+"  "+b+"\t\t"+d)
	c.add("CRLF", a+"\r\n"+b+"\r\n")
	c.add("blank lines", "\n\n"+a+"\n\n\n"+b+"\n\n")
	c.add("pretty-printed", indented(a)+"\n"+indented(b))
	c.add("pretty-printed with CRLF", strings.ReplaceAll(indented(a), "\n", "\r\n"))
	c.add("same pin twice", plain(`"name":"first"`)+plain(`"name":"second"`))
	c.add("null document", "null")
	c.add("null between", a+"\nnull\n"+b)
	c.add("empty object", "{}")
	c.add("two empty objects", "{}{}")
	c.add("BOM", "\ufeff"+a)
	c.add("BOM between", a+"\n\ufeff"+b)
	c.add("comma between", a+",\n"+b)
	c.add("comma after the last", a+"\n,")
	c.add("array of pins", "["+a+","+b+"]")
	c.add("empty array", "[]")
	c.add("array after a pin", a+"\n[]\n"+b)
	for _, s := range []string{`"text"`, `""`, "1", "-", "true", "false", "nul", "nulll", "truefalse", "NaN", "}", "]", ":", "{", "[", "'", "/* c */{}", "// c\n{}", "# c\n{}", "\x00", "\x1e", "\v", "\u00a0", "\u2028", "\xff"} {
		c.add(fmt.Sprintf("stray %q", s), s)
		c.add(fmt.Sprintf("stray %q between pins", s), a+"\n"+s+"\n"+b+"\n")
	}
	c.add("record separators", "\x1e"+a+"\n\x1e"+b+"\n")
	c.add("value error in the middle", a+"\n"+plain(`"max_depth":"x"`)+"\n"+b)
	c.add("syntax error in the middle", a+"\n{\"cid\" 5}\n"+b)
	c.add("broken line in the middle", a+"\n"+b[:len(b)/2]+"\n"+d+"\n")
	c.add("extra brace", a+"}\n"+b)
	for _, s := range []string{
		`{"a":1,}`, `{,}`, `{"a"}`, `{"a":}`, `{"a" "b"}`, `{a:1}`, `{'a':1}`, `{"a":1 "b":2}`, `{"a":01}`, `{"a":1.}`, `{"a":.5}`,
		`{"a":+1}`, `{"a":-}`, `{"a":1e}`, `{"a":1e+}`, `{"a":0x1}`, `{"a":NaN}`, `{"a":Infinity}`, `{"a":tru}`, `{"a":True}`, `{"a":"\x"}`,
		`{"a":"\u12"}`, `{"a":"\u12g4"}`, `{"a":"\U0001f600"}`, "{\"a\":\"\t\"}", "{\"a\":\"\x00\"}", "{\"a\":\"\n\"}", "{\"a\":\"\x1f\"}", `{"a":[1,]}`, `{"a":[}`, `{"a":{"b":}}`, `{"a":"`, `{"a":1`, `{"a":[1,2`,
		`{1:2}`, `{null:1}`, "{\"a\":1\x00}", "{\u00a0\"a\":1}", "{\"a\":\v1}", "{\"a\":\f1}", `{"a":--1}`, `{"a":00}`, `{"a":-01}`, `{"a":1_000}`, `{"a":1e5.5}`, `{"a":"b"c}`, `{"a":nullx}`,
	} {
		c.add(fmt.Sprintf("malformed %q", s), s)
	}
	for _, s := range []string{"1", "-0", "0.5", "1e9999", "-1E+5", "123456789012345678901234567890", `"s"`, `"\ud800"`, "\"\xff\"", "true", "null", "[]", "{}", `[1,[2,{"x":null}]]`, `{"a":{"a":{}}}`, "\"\x7f\""} {
		c.add(fmt.Sprintf("unknown key with %q", s), plain(`"unknown":`+s))
	}
	deep := func(n int) string { return plain(`"x":` + strings.Repeat("[", n) + strings.Repeat("]", n)) }
	c.add("nested 9999 deep", deep(9998))
	c.add("nested 10000 deep", deep(9999))
	c.add("nested 10001 deep", deep(10000))
	long := plain(`"name":"n"`, `"unknown":"`+strings.Repeat("long ", 2000)+`"`)
	c.add("a long document, then another", long+"\n"+b)
	for _, n := range []int{1, 2, 5, 20, 90, len(a) / 2, len(a) - 2, len(a) - 1} {
		c.add(fmt.Sprintf("second document cut to %d bytes", n), b+"\n"+a[:n])
		c.add(fmt.Sprintf("only document cut to %d bytes", n), a[:n])
	}
}

// keyCases are about member names: case, folding, escapes, repetition.
func keyCases(c *readerCases) {
	val := map[string]string{
		"replication_factor_min": "2", "replication_factor_max": "3", "name": `"n"`, "mode": `"direct"`, "shard_size": "9",
		"user_allocations": "[]", "expire_at": `"2024-06-15T12:00:00Z"`, "metadata": `{"k":"v"}`, "pin_update": `"` + cidV0("u").String() + `"`,
		"origins": `["/ip4/1.2.3.4"]`, "cid": `"` + cidV0("c").String() + `"`, "type": `"meta-pin"`, "allocations": `["` + ed25519Peer(1).String() + `"]`,
		"max_depth": "-1", "reference": `"` + cidV0("r").String() + `"`, "timestamp": `"2023-06-15T12:00:00Z"`,
	}
	keys := []string{"replication_factor_min", "replication_factor_max", "name", "mode", "shard_size", "user_allocations", "expire_at",
		"metadata", "pin_update", "origins", "cid", "type", "allocations", "max_depth", "reference", "timestamp"}
	for _, k := range keys {
		c.add("missing "+k, func() string {
			var m []string
			for _, other := range keys {
				if other != k {
					m = append(m, fmt.Sprintf("%q:%s", other, val[other]))
				}
			}
			return doc(m...)
		}())
		c.add("only "+k, fmt.Sprintf("{%q:%s}", k, val[k]))
		c.add("null "+k, func() string {
			m := []string{cidMember("null")}
			return doc(append(m, fmt.Sprintf(`%q:null`, k))...)
		}())
		c.add(k+", then null", doc(cidMember("then null"), fmt.Sprintf(`%q:%s`, k, val[k]), fmt.Sprintf(`%q:null`, k)))
		c.add("upper-case "+k, doc(cidMember("upper"), fmt.Sprintf("%q:%s", strings.ToUpper(k), val[k])))
		c.add("title-case "+k, doc(cidMember("title"), fmt.Sprintf("%q:%s", strings.ToUpper(k[:1])+k[1:], val[k])))
		c.add("escaped "+k, doc(cidMember("escaped"), fmt.Sprintf(`"\u%04x%s":%s`, k[0], k[1:], val[k])))
		if strings.Contains(k, "s") {
			c.add("long s in "+k, doc(cidMember("long s"), fmt.Sprintf("%q:%s", strings.ReplaceAll(k, "s", "ſ"), val[k])))
		}
		for _, bad := range []string{"true", "5", "1.5", `"x"`, "[]", "{}", `[null]`, `{"a":1}`, `[[]]`, `["x"]`, `{"/":"x"}`} {
			c.add(fmt.Sprintf("%s is %s", k, bad), doc(cidMember("wrong"), fmt.Sprintf("%q:%s", k, bad)))
		}
	}
	c.add("key with a space", plain(`"name ":"x"`, `" name":"y"`))
	c.add("key without underscore", plain(`"maxdepth":5`, `"max-depth":6`))
	c.add("key in Go's spelling", plain(`"MaxDepth":5`, `"ReplicationFactorMin":6`, `"PinOptions":{"name":"x"}`))
	c.add("full-width key", plain(`"ｎame":"x"`))
	c.add("dotless i", plain(`"orıgins":["/ip4/1.2.3.4"]`, `"or\u0130gins":["/ip4/1.2.3.4"]`))
	c.add("exact key after folded key", plain(`"NAME":"folded"`, `"name":"exact"`))
	c.add("folded key after exact key", plain(`"name":"exact"`, `"NAME":"folded"`))
	c.add("empty key", plain(`"":"x"`))
	for _, two := range [][3]string{
		{"name", `"first"`, `"second"`}, {"max_depth", "5", "0"}, {"type", `"meta-pin"`, `"pin"`}, {"shard_size", "1", "2"},
		{"cid", `"` + cidV0("1").String() + `"`, `"` + cidV0("2").String() + `"`},
		{"metadata", `{"a":"1","b":"2"}`, `{"b":"3","c":"4"}`}, {"metadata", `{"a":"1"}`, `{}`}, {"metadata", `{"a":"1"}`, `{"a":null}`},
		{"allocations", `["` + ed25519Peer(1).String() + `","` + ed25519Peer(2).String() + `"]`, `["` + rsaPeer(1).String() + `"]`},
		{"allocations", `["` + ed25519Peer(1).String() + `"]`, `[]`}, {"allocations", `["` + ed25519Peer(1).String() + `"]`, `[null]`},
		{"origins", `["/ip4/1.1.1.1","/ip4/2.2.2.2"]`, `["/ip4/3.3.3.3"]`}, {"origins", `["/ip4/1.1.1.1"]`, `[]`},
		{"reference", `"` + cidV0("1").String() + `"`, `"` + cidV0("2").String() + `"`},
		{"expire_at", `"2024-06-15T12:00:00Z"`, `"2025-06-15T12:00:00Z"`}, {"mode", `"direct"`, `"recursive"`},
	} {
		c.add(fmt.Sprintf("%s twice: %s", two[0], two[2]), doc(cidMember("twice"), fmt.Sprintf("%q:%s", two[0], two[1]), fmt.Sprintf("%q:%s", two[0], two[2])))
	}
	c.add("bad value, then a good one", plain(`"shard_size":"bad"`, `"shard_size":5`))
	c.add("two bad values", plain(`"shard_size":"bad"`, `"name":7`))
}

// scalarCases are about numbers, type and mode.
func scalarCases(c *readerCases) {
	numbers := []string{"0", "-0", "1", "-1", "7", "1.0", "1e0", "10e-1", "1E2", "0.0", "-0.0", `"1"`, "2147483647", "2147483648", "-2147483648", "-2147483649",
		"4294967295", "4294967296", "4294967303", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
		"18446744073709551615", "18446744073709551616", "1e400", "null", "true", "100000000000000000000000"}
	for _, k := range []string{"replication_factor_min", "replication_factor_max", "max_depth", "shard_size"} {
		for _, n := range numbers {
			c.add(k+" "+n, doc(cidMember("n"), `"type":"pin"`, fmt.Sprintf("%q:%s", k, n)))
		}
	}
	for _, t := range []string{`"pin"`, `"meta-pin"`, `"clusterdag-pin"`, `"shard-pin"`, `"all"`, `"bad-type"`, `""`, `"Pin"`, `"PIN"`, `"pin "`, `"data"`, `"meta"`, `"badtype"`,
		`"p\u0069n"`, `"meta-pin,pin"`, "null", "0", "1", "2", "4", "true", "[]", `["pin"]`, "{}"} {
		c.add("type "+t, doc(cidMember("t"), `"max_depth":-1`, `"type":`+t))
	}
	for _, m := range []string{`"recursive"`, `"direct"`, `""`, `"Direct"`, `"indirect"`, "null", "0", "1", "[]"} {
		for _, d := range []string{"-1", "0"} {
			c.add(fmt.Sprintf("mode %s with depth %s", m, d), doc(cidMember("m"), `"type":"pin"`, `"mode":`+m, `"max_depth":`+d))
		}
	}
}
