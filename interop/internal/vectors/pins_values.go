package vectors

import (
	"fmt"
	"math"
	"strings"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// base is an ordinary pin that cases vary.
func base() api.Pin {
	return api.Pin{
		PinOptions:  api.PinOptions{ReplicationFactorMin: 2, ReplicationFactorMax: 3, Name: "base"},
		Type:        api.DataType,
		Allocations: peers(2),
		MaxDepth:    -1,
	}
}

func with(change func(*api.Pin)) api.Pin {
	p := base()
	change(&p)
	return p
}

func typeCases(c *pinCases) {
	ref := cidV0("reference")
	c.pin("zero pin", api.Pin{})
	c.pin("ordinary pin", base())
	for _, t := range []struct {
		name string
		typ  api.PinType
	}{
		{"data", api.DataType}, {"meta", api.MetaType}, {"clusterdag", api.ClusterDAGType},
		{"shard", api.ShardType}, {"bad", api.BadType}, {"none", 0}, {"all", api.AllType},
		{"3", 3}, {"5", 5}, {"data and shard", api.DataType | api.ShardType}, {"1<<5", 1 << 5},
		{"1<<40", 1 << 40}, {"1<<63", 1 << 63}, {"max", math.MaxUint64},
	} {
		c.pin("type "+t.name, with(func(p *api.Pin) { p.Type = t.typ; p.Reference = &ref }))
	}
	for n := range uint64(12) {
		c.raw(fmt.Sprintf("stored type %d", n), wire{}.varint(pinType, n).options(nil))
	}
	for _, n := range []uint64{31, 32, 62, 63, 64, 65, 127, 128, 255, 1 << 31, 1 << 32, 1<<32 | 2, 1<<63 | 3,
		math.MaxUint32, math.MaxInt64, math.MaxUint64, ^uint64(1)} {
		c.raw(fmt.Sprintf("stored type %d", n), wire{}.varint(pinType, n).options(nil))
	}
}

func numberCases(c *pinCases) {
	for _, d := range []int64{-1, 0, 1, 2, -2, 5, 1000, math.MaxInt32, math.MinInt32,
		1 << 31, 1 << 32, 1<<32 - 1, -1 << 40, math.MaxInt64, math.MinInt64} {
		c.pin(fmt.Sprintf("depth %d", d), with(func(p *api.Pin) { p.MaxDepth = api.PinDepth(d) }))
	}
	for _, mode := range []api.PinMode{api.PinModeRecursive, api.PinModeDirect, 7} {
		for _, d := range []api.PinDepth{-1, 0, 3} {
			c.pin(fmt.Sprintf("mode %d depth %d", int(mode), int(d)), with(func(p *api.Pin) { p.Mode, p.MaxDepth = mode, d }))
		}
	}
	for _, r := range []struct{ min, max int }{{0, 0}, {-1, -1}, {1, 1}, {2, 5}, {5, 2}, {-1, 3}, {-2, -3},
		{math.MinInt32, math.MaxInt32}, {1 << 31, 1 << 32}, {1<<32 + 7, -1<<31 - 1}, {math.MinInt64, math.MaxInt64}} {
		c.pin(fmt.Sprintf("replication %d to %d", r.min, r.max), with(func(p *api.Pin) {
			p.ReplicationFactorMin, p.ReplicationFactorMax = r.min, r.max
		}))
	}
	for _, s := range []uint64{1, 127, 128, 104857600, 1<<53 + 1, 1 << 63, math.MaxInt64, math.MaxUint64} {
		c.pin(fmt.Sprintf("shard size %d", s), with(func(p *api.Pin) { p.ShardSize = s }))
	}
	// sint32 fields holding more than 32 bits: cut, then zigzag-decoded
	for _, v := range []uint64{0, 1, 2, 3, math.MaxUint32 - 1, math.MaxUint32, 1 << 32, 1<<32 | 1, 1<<32 | 2,
		1<<33 - 1, 1<<33 | 5, 1 << 63, math.MaxUint64 - 1, math.MaxUint64} {
		c.raw(fmt.Sprintf("stored depth varint %d", v), wire{}.varint(pinMaxDepth, v))
		c.raw(fmt.Sprintf("stored replication varint %d", v), wire{}.options(wire{}.varint(optReplMin, v).varint(optReplMax, v^1)))
	}
	for _, v := range []uint64{0, 1, math.MaxUint64} {
		c.raw(fmt.Sprintf("stored shard size %d", v), wire{}.options(wire{}.varint(optShardSize, v)))
	}
}

// Strings are written with HTML escaping, short escapes and replacement
// characters; each escape gets a vector so that a failure names its character.
func textCases(c *pinCases) {
	for _, s := range []struct{ name, text string }{
		{"empty", ""}, {"plain", "plain name"}, {"slash", "a/b\\c"}, {"quotes", `say "hi"`},
		{"html", "<b>&amp;</b>'"}, {"json in name", `{"a":[1,"x\n"]}`},
		{"line and paragraph separators", "a\u2028b\u2029c"}, {"next to separators", "\u2027\u202a\u2020\u2030"},
		{"C1 controls", "\u0080\u0085\u009f"}, {"no-break space", "a\u00a0b"}, {"BOM", "\ufeffname"},
		{"replacement character", "a\ufffdb"}, {"noncharacters", "\ufffe\uffff\U0001fffe"},
		{"last code point", "\U0010ffff"}, {"astral", "🎉 𝒳 🏳️‍🌈"}, {"combining", "e\u0301 vs \u00e9"},
		{"right to left", "שלום \u202eabc\u202c"}, {"cjk", "钉住 ピン 핀"}, {"width classes", "a\u00e9\u20ac\U0001f600z"},
		{"trailing backslash", `end\`}, {"only spaces", "   "}, {"DEL", "a\x7fb"}, {"CRLF", "a\r\nb"},
		{"long ascii", strings.Repeat("0123456789abcdef", 100)}, {"long mixed", strings.Repeat("aé€😀<\n", 60)},
		{"length 127", strings.Repeat("n", 127)}, {"length 128", strings.Repeat("n", 128)},
	} {
		c.pin("name: "+s.name, with(func(p *api.Pin) { p.Name = s.text }))
		c.pin("metadata: "+s.name, with(func(p *api.Pin) {
			p.Metadata = map[string]string{s.text: "v", "k": s.text}
		}))
	}
	all := make([]byte, 128)
	for i := range all {
		all[i] = byte(i)
		if i < 0x20 || strings.ContainsRune("\"&/<>\\'\x7f", rune(i)) {
			c.pin(fmt.Sprintf("name: character %#02x", i), with(func(p *api.Pin) { p.Name = "a" + string(rune(i)) + "b" }))
		}
	}
	c.pin("name: every ASCII character", with(func(p *api.Pin) { p.Name = string(all) }))
	c.pin("metadata: every ASCII character", with(func(p *api.Pin) {
		p.Metadata = map[string]string{string(all): string(all)}
	}))
	for _, s := range []struct{ name, text string }{
		{"lone continuation", "a\x80b"}, {"0xff", "\xff"}, {"overlong slash", "\xc0\xaf"}, {"overlong NUL", "\xc0\x80"},
		{"surrogate", "\xed\xa0\x80"}, {"surrogate pair", "\xed\xa0\xbd\xed\xb8\x80"}, {"cut sequence", "abc\xe2\x82"},
		{"above U+10FFFF", "\xf4\x90\x80\x80"}, {"five bytes", "\xf8\x88\x80\x80\x80"}, {"latin-1", "caf\xe9"},
	} {
		c.raw("invalid UTF-8 in name: "+s.name, wire{}.options(wire{}.str(optName, s.text)))
		c.raw("invalid UTF-8 in metadata key: "+s.name,
			wire{}.options(wire{}.bytes(optSortedMetadata, wire{}.str(1, s.text).str(2, "v"))))
		c.raw("invalid UTF-8 in metadata value: "+s.name,
			wire{}.options(wire{}.bytes(optSortedMetadata, wire{}.str(1, "k").str(2, s.text))))
	}
	c.raw("invalid UTF-8 in deprecated metadata key", wire{}.options(wire{}.bytes(optMetadata, wire{}.str(1, "\xff").str(2, "v"))))
	c.raw("invalid UTF-8 in deprecated metadata value", wire{}.options(wire{}.bytes(optMetadata, wire{}.str(1, "k").str(2, "\xff"))))
	c.raw("invalid UTF-8 in an earlier name", wire{}.options(wire{}.str(optName, "\xff").str(optName, "good")))
	c.raw("invalid UTF-8 in an unknown field", wire{}.options(wire{}.str(99, "\xff")))
}

func metadataCases(c *pinCases) {
	meta := func(name string, m map[string]string) {
		c.pin("metadata "+name, with(func(p *api.Pin) { p.Metadata = m }))
	}
	meta("empty map", map[string]string{})
	meta("one", map[string]string{"key": "value"})
	meta("empty key and value", map[string]string{"": ""})
	meta("empty key", map[string]string{"": "v"})
	meta("empty value", map[string]string{"k": ""})
	meta("byte order", map[string]string{"b": "1", "a": "2", "B": "3", "10": "4", "9": "5", "é": "6", "z": "7", "": "8"})
	meta("order above U+FFFF", map[string]string{"\U0001f600": "astral", "\uffff": "last of the plane", "\ufb01": "ligature", "\u2028": "separator"})
	meta("prefix keys", map[string]string{"a": "1", "aa": "2", "a\x00": "3", "a ": "4"})
	many := map[string]string{}
	for i := range 60 {
		many[fmt.Sprintf("key-%d", i)] = strings.Repeat("v", i%7)
	}
	meta("many", many)

	md := func(k, v string) wire { return wire{}.str(1, k).str(2, v) }
	sorted := func(name string, entries ...wire) {
		o := wire{}
		for _, e := range entries {
			o = o.bytes(optSortedMetadata, e)
		}
		c.raw("sorted metadata "+name, wire{}.options(o))
	}
	sorted("unsorted", md("z", "1"), md("a", "2"), md("m", "3"))
	sorted("duplicate", md("k", "first"), md("k", "second"))
	sorted("duplicate then other", md("k", "first"), md("a", "x"), md("k", ""))
	sorted("empty entry", wire{})
	sorted("key missing", wire{}.str(2, "v"))
	sorted("value missing", wire{}.str(1, "k"))
	sorted("value before key", wire{}.str(2, "v").str(1, "k"))
	sorted("key twice", wire{}.str(1, "first").str(2, "v").str(1, "second"))
	sorted("value twice", wire{}.str(1, "k").str(2, "first").str(2, "second"))
	sorted("unknown field inside", md("k", "v").varint(3, 9).str(200, "x"))
	sorted("wrong wire type inside", wire{}.varint(1, 5).fixed32(2, 6))
	sorted("truncated inside", md("k", "value")[:6])
	sorted("two empty keys", md("", "first"), md("", "second"))

	old := func(name string, o wire) { c.raw("deprecated metadata "+name, wire{}.options(o)) }
	old("alone", wire{}.bytes(optMetadata, md("b", "1")).bytes(optMetadata, md("a", "2")))
	old("duplicate", wire{}.bytes(optMetadata, md("k", "first")).bytes(optMetadata, md("k", "second")))
	old("empty entry", wire{}.bytes(optMetadata, nil))
	old("key missing", wire{}.bytes(optMetadata, wire{}.str(2, "v")))
	old("value missing", wire{}.bytes(optMetadata, wire{}.str(1, "k")))
	old("value before key", wire{}.bytes(optMetadata, wire{}.str(2, "v").str(1, "k")))
	old("key twice", wire{}.bytes(optMetadata, wire{}.str(1, "first").str(2, "v").str(1, "second")))
	old("value twice", wire{}.bytes(optMetadata, wire{}.str(1, "k").str(2, "first").str(2, "second")))
	old("unknown field inside", wire{}.bytes(optMetadata, md("k", "v").varint(3, 9)))
	old("wrong wire type inside", wire{}.bytes(optMetadata, wire{}.varint(1, 5).str(2, "v")))
	old("truncated inside", wire{}.bytes(optMetadata, md("k", "value")[:6]))
	old("overridden by sorted", wire{}.bytes(optMetadata, md("k", "old")).bytes(optMetadata, md("other", "kept")).bytes(optSortedMetadata, md("k", "new")))
	old("after sorted, still overridden", wire{}.bytes(optSortedMetadata, md("k", "new")).bytes(optMetadata, md("k", "old")))
	old("in a second Options", wire{}.bytes(optSortedMetadata, md("k", "new")))
	c.raw("both metadata forms over two Options", wire{}.
		options(wire{}.bytes(optSortedMetadata, md("s", "1")).bytes(optMetadata, md("m", "2"))).
		options(wire{}.bytes(optSortedMetadata, md("m", "3")).bytes(optMetadata, md("s", "4"))))
}
