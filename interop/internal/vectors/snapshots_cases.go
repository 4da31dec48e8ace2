package vectors

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// The key and value of most cases.
func snapshotPair() (string, string) {
	p := with(func(p *api.Pin) { p.Cid = cidRaw("snap"); p.Allocations = nil; p.Name = "s" })
	return keyText(p.Cid), string(must(p.ProtoMarshal()))
}

// headerCases: every header by which a key, a value or a map may begin.
func headerCases(c *snapshotCases) {
	key, value := snapshotPair()
	next := entry(keyText(cidV0("next")), "next")
	c.add("empty input")
	c.add("one entry", entry(key, value))
	c.add("two entries", entry(key, value), next)
	c.add("same key twice", entry(key, "first"), entry(key, "second"))
	c.add("empty value", entry(key, ""))
	for _, n := range []int{31, 32, 255, 256, 65536} {
		c.add(fmt.Sprintf("value of %d bytes", n), entry(key, strings.Repeat("v", n)), next)
	}
	c.add("key of 31 bytes", entry("BAFKR"+strings.Repeat("A", 26), "v"))
	heads := []struct {
		name string
		add  func(mp, string) mp
	}{
		{"str8", mp.str8}, {"str16", mp.str16}, {"str32", mp.str32}, {"bin8", mp.bin8}, {"bin16", mp.bin16}, {"bin32", mp.bin32},
	}
	for _, h := range heads {
		c.add("value as "+h.name, h.add(mp{0x82}.fixStr("k").own(key).fixStr("v"), value), next)
		c.add("key as "+h.name, h.add(mp{0x82}.fixStr("k"), key).fixStr("v").own(value), next)
		c.add("field name as "+h.name, h.add(h.add(mp{0x82}, "k").own(key), "v").own(value), next)
		c.add("empty value as "+h.name, h.add(mp{0x82}.fixStr("k").own(key).fixStr("v"), ""), next)
		c.add("array form with "+h.name, h.add(h.add(mp{0x92}, key), value), next)
	}
	body := mp{}.fixStr("k").own(key).fixStr("v").own(value)
	c.add("map16", mp{}.u16(0xde, 2), body, next)
	c.add("map32", mp{}.u32(0xdf, 2), body, next)
	c.add("array16", mp{}.u16(0xdc, 2).own(key).own(value), next)
	c.add("array32", mp{}.u32(0xdd, 2).own(key).own(value), next)
	// a byte array may stand for a string
	c.add("value as array of numbers", mp{0x82}.fixStr("k").own(key).fixStr("v").raw(0x93, 1, 0xcc, 200, 0xcd, 0, 7), next)
	c.add("value as array with 256", mp{0x82}.fixStr("k").own(key).fixStr("v").raw(0x91, 0xcd, 1, 0), next)
	c.add("value as array with -1", mp{0x82}.fixStr("k").own(key).fixStr("v").raw(0x91, 0xff), next)
	c.add("value as array with text", mp{0x82}.fixStr("k").own(key).fixStr("v").raw(0x91).fixStr("x"), next)
	c.add("value as array with nil", mp{0x82}.fixStr("k").own(key).fixStr("v").raw(0x92, 0xc0, 5), next)
	c.add("value as array with float", mp{0x82}.fixStr("k").own(key).fixStr("v").raw(0x91, 0xca, 0x40, 0, 0, 0), next)
	c.add("value as empty array", mp{0x82}.fixStr("k").own(key).fixStr("v").raw(0x90), next)
	c.add("value as array16", mp{0x82}.fixStr("k").own(key).fixStr("v").raw(0xdc, 0, 2, 8, 9), next)
	c.add("value as array32", mp{0x82}.fixStr("k").own(key).fixStr("v").raw(0xdd, 0, 0, 0, 2, 8, 9), next)
	c.add("key as array of numbers", mp{0x82}.fixStr("k").raw(0x93, 'A', 'B', 'C').fixStr("v").own(value), next)
	c.add("field name as array of numbers", mp{0x82}.raw(0x91, 'k').own(key).fixStr("v").own(value), next)
	c.add("value as map of numbers", mp{0x82}.fixStr("k").own(key).fixStr("v").raw(0x81, 1, 2), next)
	c.add("value as empty map", mp{0x82}.fixStr("k").own(key).fixStr("v").raw(0x80), next)
	others := map[string]mp{
		"false": {0xc2}, "true": {0xc3}, "fixint": {5}, "negative fixint": {0xe5}, "uint8": {0xcc, 5}, "uint16": {0xcd, 0, 5}, "uint32": {0xce, 0, 0, 0, 5}, "uint64": {0xcf, 0, 0, 0, 0, 0, 0, 0, 5},
		"int8": {0xd0, 5}, "int16": {0xd1, 0, 5}, "int32": {0xd2, 0, 0, 0, 5}, "int64": {0xd3, 0, 0, 0, 0, 0, 0, 0, 5}, "float32": {0xca, 0x40, 0, 0, 0}, "float64": {0xcb, 0x40, 0, 0, 0, 0, 0, 0, 0},
		"fixext1": {0xd4, 1, 9}, "fixext2": {0xd5, 1, 9, 9}, "fixext4": {0xd6, 1, 9, 9, 9, 9}, "fixext8": {0xd7, 1, 9, 9, 9, 9, 9, 9, 9, 9}, "fixext16": mp{0xd8, 1}.text("0123456789abcdef"),
		"ext8": {0xc7, 2, 1, 9, 9}, "ext16": {0xc8, 0, 2, 1, 9, 9}, "ext32": {0xc9, 0, 0, 0, 2, 1, 9, 9}, "timestamp": {0xd6, 0xff, 0, 0, 0, 1}, "c1": {0xc1},
		"nil": {0xc0}, "empty map": {0x80}, "empty array": {0x90}, "map": mp{0x81}.fixStr("a").raw(1), "array": mp{0x91}.fixStr("a"), "fixstr": mp{}.fixStr("abc"), "empty fixstr": {0xa0}, "str8": mp{}.str8("abc"), "str16": mp{}.str16("abc"), "str32": mp{}.str32("abc"),
		"bin8": mp{}.bin8("abc"), "bin16": mp{}.bin16("abc"), "bin32": mp{}.bin32("abc"), "map16": mp{}.u16(0xde, 1).fixStr("a").raw(1), "map32": mp{}.u32(0xdf, 0), "array16": mp{}.u16(0xdc, 1).raw(1), "array32": mp{}.u32(0xdd, 0), "array of bytes": {0x92, 65, 66},
	}
	for _, name := range slices.Sorted(maps.Keys(others)) {
		other := others[name]
		c.add("entry is "+name, entry(key, value), other, next)
		c.add("key is "+name, mp{0x82}.fixStr("k"), other, mp{}.fixStr("v").own(value), next)
		c.add("value is "+name, mp{0x82}.fixStr("k").own(key).fixStr("v"), other, next)
		c.add("field name is "+name, mp{0x83}, other, mp{}.fixStr("x"), body, next)
		c.add("unknown field holds "+name, mp{0x83}.fixStr("x"), other, body, next)
		c.add("array form with a third element "+name, mp{0x93}.own(key).own(value), other, next)
	}
}

// shapeCases: fields in another number, order or nesting.
func shapeCases(c *snapshotCases) {
	key, value := snapshotPair()
	next := entry(keyText(cidV0("next")), "next")
	c.add("value first", mp{0x82}.fixStr("v").own(value).fixStr("k").own(key), next)
	c.add("only key", mp{0x81}.fixStr("k").own(key), next)
	c.add("only value", mp{0x81}.fixStr("v").own(value), next)
	c.add("key twice", mp{0x83}.fixStr("k").fixStr("AAAA").fixStr("v").own(value).fixStr("k").own(key), next)
	c.add("value twice", mp{0x83}.fixStr("k").own(key).fixStr("v").fixStr("a longer first").fixStr("v").fixStr("second"), next)
	c.add("value, then nil value", mp{0x83}.fixStr("k").own(key).fixStr("v").own(value).fixStr("v").raw(0xc0), next)
	c.add("key, then nil key", mp{0x83}.fixStr("k").own(key).fixStr("v").own(value).fixStr("k").raw(0xc0), next)
	c.add("upper-case field names", mp{0x82}.fixStr("K").own(key).fixStr("V").own(value), next)
	c.add("Go's field names", mp{0x82}.fixStr("Key").own(key).fixStr("Value").own(value), next)
	c.add("empty field name", mp{0x83}.fixStr("").own("x").fixStr("k").own(key).fixStr("v").own(value), next)
	c.add("unknown fields before, between and after", mp{0x85}.fixStr("a").raw(1).fixStr("k").own(key).fixStr("b").raw(0x92, 1, 2).fixStr("v").own(value).fixStr("c").raw(0x81, 1, 2), next)
	c.add("unknown field nested", mp{0x83}.fixStr("x").raw(0x91, 0x81, 0x91, 1, 0x82, 1, 2, 3, 0xc0).fixStr("k").own(key).fixStr("v").own(value), next)
	c.add("map says more than there is", mp{0x83}.fixStr("k").own(key).fixStr("v").own(value))
	c.add("map says less than there is", mp{0x81}.fixStr("k").own(key).fixStr("v").own(value), next)
	c.add("map of 2^31 fields", mp{}.u32(0xdf, 1<<31).fixStr("k").own(key).fixStr("v").own(value))
	c.add("array of no element", mp{0x90}, next)
	c.add("array of one element", mp{0x91}.own(key), next)
	c.add("array of three elements", mp{0x93}.own(key).own(value).raw(7), next)
	c.add("array with nil value", mp{0x92}.own(key).raw(0xc0), next)
	c.add("array with nil key", mp{0x92}.raw(0xc0).own(value), next)
	c.add("all entries in one array", mp{0x92}, entry(key, value), next)
	c.add("array of bytes as entry", mp{0x92, 65, 66}, next)
	c.add("array form, key as array", mp{0x92, 0x92, 65, 66}.own(value), next)
	c.add("nil, then an entry", mp{0xc0}, next)
	c.add("trailing zero byte", entry(key, value), mp{0})
	c.add("trailing newline", entry(key, value), mp{'\n'})
	c.add("JSON", mp{}.text(`{"k":"x","v":"y"}`))
	for _, depth := range []int{500, 1500, 20000} {
		c.add(fmt.Sprintf("unknown field nested %d deep", depth), mp{0x83}.fixStr("x").text(strings.Repeat("\x91", depth)).raw(0xc0).fixStr("k").own(key).fixStr("v").own(value), next)
	}
	c.add("bin32 of 2^32-1 bytes", mp{0x82}.fixStr("k").own(key).fixStr("v").raw(0xc6, 0xff, 0xff, 0xff, 0xff).text("short"))
	c.add("unknown bin32 of 2^32-1 bytes", mp{0x82}.fixStr("x").raw(0xc6, 0xff, 0xff, 0xff, 0xff).text("short"))
}

// snapshotKeyCases: keys that are no key of a pin, and what datastore keys become.
func snapshotKeyCases(c *snapshotCases) {
	key, value := snapshotPair()
	for _, k := range []string{
		"", "/", "//", "/" + key, key + "/", "a/b", "/a/../b", "..", ".", "./" + key, "../" + key, "a//b", "k:v", "/type:name", " ", " " + key, key + "\n", key[:20] + "\r\n" + key[20:], strings.ToLower(key),
		strings.ToLower(key[:20]) + key[20:], key + "=", key + "A", key[:len(key)-1], key[:len(key)-1] + "B", "A", "AA", "AAAA", "not base32", "0189", cidRaw("snap").String(), "k\x00k", "é", "\xff\xfe", "\ufeff" + key,
		keyText(cidV0("snap")), "CIQ", strings.Repeat("A", 300),
	} {
		c.add(fmt.Sprintf("key %.60q (%d bytes)", k, len(k)), entry(k, value), entry(keyText(cidV0("next")), "next"))
	}
	for _, b := range badCidBytes() {
		k := dshelpKey(b.b)
		c.add("key of odd cid: "+b.name, entry(k, value))
	}
	for _, v := range []struct{ name, value string }{{"undecodable", "\xff\xff"}, {"of invalid UTF-8 name", string(wire{}.options(wire{}.str(optName, "\xff")))}, {"of a bad allocation", string(wire{}.bytes(pinAllocations, []byte("x")))}} {
		c.add("value "+v.name, entry(key, v.value), entry(keyText(cidV0("next")), string(wire{}.options(nil))))
	}
}

// cutCases: a stream of two entries, ended at every byte.
func cutCases(c *snapshotCases) {
	one := entry(keyText(cidV0("cut one")), string(wire{}.varint(pinType, 1).options(wire{}.str(optName, "1"))))
	two := entry(keyText(cidRaw("cut two")), string(wire{}.varint(pinType, 1).options(wire{}.str(optName, strings.Repeat("2", 40)))))
	all := append(one.clone(), two...)
	for n := range len(all) + 1 {
		c.add(fmt.Sprintf("two entries cut to %d of %d bytes", n, len(all)), all[:n])
	}
	array := mp{0x92}.own(keyText(cidV0("cut array"))).bin8("value")
	for _, n := range []int{1, 2, 10, len(array) - 6, len(array) - 1} {
		c.add(fmt.Sprintf("array form cut to %d of %d bytes", n, len(array)), array[:n])
	}
	extra := mp{0x83}.fixStr("x").raw(0xcb, 1, 2, 3, 4, 5, 6, 7, 8).fixStr("k").fixStr("AAAA").fixStr("v").fixStr("v")
	for n := range extra {
		c.add(fmt.Sprintf("unknown field cut to %d of %d bytes", n, len(extra)), one, extra[:n])
	}
}
