package vectors

import (
	"bytes"
	"fmt"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"google.golang.org/protobuf/encoding/protowire"
)

// fields and their own wire types, for the wrong-type cases
var (
	pinFields = map[protowire.Number]protowire.Type{
		pinCid: protowire.BytesType, pinType: protowire.VarintType, pinAllocations: protowire.BytesType,
		pinMaxDepth: protowire.VarintType, pinReference: protowire.BytesType, pinOptions: protowire.BytesType,
		pinTimestamp: protowire.VarintType,
	}
	optFields = map[protowire.Number]protowire.Type{
		optReplMin: protowire.VarintType, optReplMax: protowire.VarintType, optName: protowire.BytesType,
		optShardSize: protowire.VarintType, optMetadata: protowire.BytesType, optPinUpdate: protowire.BytesType,
		optExpireAt: protowire.VarintType, optOrigins: protowire.BytesType, optSortedMetadata: protowire.BytesType,
	}
	wireTypes = []protowire.Type{protowire.VarintType, protowire.Fixed32Type, protowire.Fixed64Type,
		protowire.BytesType, protowire.StartGroupType}
)

func wireCases(c *pinCases) {
	c.raw("empty value", nil)
	c.raw("only empty Options", wire{}.options(nil))
	c.raw("no Options", wire{}.varint(pinType, 1).sint(pinMaxDepth, -1))
	wrongTypeCases(c)
	unknownFieldCases(c)
	varintCases(c)
	mergeCases(c)
	truncationCases(c)
}

func wrongTypeCases(c *pinCases) {
	for f := protowire.Number(1); f <= 7; f++ {
		for _, t := range wireTypes {
			if t != pinFields[f] {
				c.raw(fmt.Sprintf("pin field %d with wire type %d", f, t), wire{}.varint(pinType, 1).as(f, t).sint(pinMaxDepth, -1))
			}
		}
	}
	for f := protowire.Number(1); f <= 10; f++ {
		for _, t := range wireTypes {
			if t != optFields[f] {
				c.raw(fmt.Sprintf("option field %d with wire type %d", f, t), wire{}.options(wire{}.str(optName, "n").as(f, t)))
			}
		}
	}
	for f := protowire.Number(1); f <= 2; f++ {
		for _, t := range wireTypes {
			if t != protowire.BytesType {
				c.raw(fmt.Sprintf("metadata field %d with wire type %d", f, t),
					wire{}.options(wire{}.bytes(optSortedMetadata, wire{}.str(1, "k").str(2, "v").as(f, t))))
			}
		}
	}
}

func unknownFieldCases(c *pinCases) {
	pin := wire(must(with(func(p *api.Pin) { p.Cid = cidRaw("unknown") }).ProtoMarshal()))
	for _, f := range []protowire.Number{8, 15, 16, 2047, 2048, 1 << 20, 1<<29 - 1, 19000} {
		for _, t := range wireTypes {
			c.raw(fmt.Sprintf("unknown pin field %d of wire type %d", f, t), pin.clone().as(f, t))
		}
	}
	for _, f := range []protowire.Number{5, 11, 300} {
		for _, t := range wireTypes {
			c.raw(fmt.Sprintf("unknown option field %d of wire type %d", f, t), wire{}.options(wire{}.as(f, t).str(optName, "n")))
		}
	}
	bad := func(name string, b ...byte) { c.raw("bad tag: "+name, pin.clone().raw(b...)) }
	bad("field 0 varint", 0x00, 0x01)
	bad("field 0 bytes", 0x02, 0x00)
	bad("wire type 6", 0x46)
	bad("wire type 7", 0x47)
	bad("wire type 6 in a known field", 0x0e)
	bad("field 2^29", protowire.AppendVarint(nil, 1<<32)...)
	bad("field 2^29 with a value", append(protowire.AppendVarint(nil, 1<<32), 1)...)
	bad("field 2^40", append(protowire.AppendVarint(nil, 1<<43), 1)...)
	bad("field 2^61-1", append(protowire.AppendVarint(nil, 1<<64-8), 1)...)
	bad("end group alone", 0x44)
	bad("end group of a known field", 0x34)
	bad("group without end", 0x43)
	bad("group with another end", 0x43, 0x4c)
	bad("group with a cut field", 0x43, 0x08)
	bad("group holding groups", 0x43, 0x4b, 0x08, 0x01, 0x4c, 0x44)
	bad("crossed groups", 0x43, 0x4b, 0x44, 0x4c)
	bad("group holding field 0", 0x43, 0x00, 0x01, 0x44)
	bad("group holding wire type 7", 0x43, 0x0f, 0x44)
	bad("unknown bytes too long", 0x42, 0x05, 0x01)
	bad("unknown fixed64 cut", 0x41, 1, 2, 3)
	bad("unknown fixed32 cut", 0x45, 1, 2, 3)
	for _, depth := range []int{100, 10001, 10002} {
		nested := append(bytes.Repeat([]byte{0x4b}, depth), bytes.Repeat([]byte{0x4c}, depth)...)
		c.raw(fmt.Sprintf("groups %d deep", depth), nested)
	}
	c.raw("groups 10002 deep in Options", wire{}.options(append(bytes.Repeat([]byte{0x5b}, 10002), bytes.Repeat([]byte{0x5c}, 10002)...)))
}

func varintCases(c *pinCases) {
	for n := 2; n <= 11; n++ {
		c.raw(fmt.Sprintf("tag of %d bytes", n), wire(long(pinType<<3, n)).raw(1))
		c.raw(fmt.Sprintf("value of %d bytes", n), wire{}.raw(pinType<<3).raw(long(2, n)...))
		c.raw(fmt.Sprintf("length of %d bytes", n), wire{}.raw(pinOptions<<3|2).raw(long(3, n)...).raw(optName<<3|2, 1, 'n'))
		c.raw(fmt.Sprintf("inner value of %d bytes", n), wire{}.options(wire{}.raw(optShardSize<<3).raw(long(300, n)...)))
	}
	c.raw("varint of 10 bytes, last is 1", wire{}.raw(pinTimestamp<<3).raw(bytes.Repeat([]byte{0x80}, 9)...).raw(1))
	c.raw("varint of 10 bytes, last is 2", wire{}.raw(pinTimestamp<<3).raw(bytes.Repeat([]byte{0x80}, 9)...).raw(2))
	c.raw("varint without end", wire{}.raw(pinTimestamp<<3).raw(bytes.Repeat([]byte{0x80}, 12)...))
	c.raw("length beyond the end", wire{}.raw(pinOptions<<3|2, 5, optName<<3|2, 1, 'n'))
	c.raw("length of 2^63", wire{}.raw(pinCid<<3|2).raw(protowire.AppendVarint(nil, 1<<63)...))
	c.raw("length of 2^64-1", wire{}.raw(pinCid<<3|2).raw(protowire.AppendVarint(nil, 1<<64-1)...))
	c.raw("length of 2^31 in Options", wire{}.options(wire{}.raw(optName<<3|2).raw(protowire.AppendVarint(nil, 1<<31)...)))
	c.raw("option length beyond Options", wire{}.options(wire{}.raw(optName<<3|2, 9, 'n')).varint(pinTimestamp, someDay))
}

func mergeCases(c *pinCases) {
	md := wire{}.str(1, "k").str(2, "first")
	md2 := wire{}.str(1, "k").str(2, "second")
	ip := addr("/ip4/1.2.3.4/tcp/1").Bytes()
	c.raw("Options twice", wire{}.
		options(wire{}.sint(optReplMin, 1).sint(optReplMax, 2).str(optName, "first").varint(optShardSize, 5).bytes(optOrigins, ip).bytes(optSortedMetadata, md)).
		options(wire{}.sint(optReplMin, 7).str(optName, "second").varint(optExpireAt, someDay).bytes(optOrigins, ip).bytes(optSortedMetadata, md2)))
	c.raw("Options twice, the second empty", wire{}.options(wire{}.str(optName, "kept").varint(optShardSize, 9)).options(nil))
	c.raw("Options twice, the second resets", wire{}.options(wire{}.str(optName, "lost").sint(optReplMin, 4)).options(wire{}.str(optName, "").sint(optReplMin, 0)))
	c.raw("Options twice, the second broken", wire{}.options(wire{}.str(optName, "x")).options(wire{}.raw(0x07)))
	c.raw("scalars twice", wire{}.varint(pinType, 1).varint(pinType, 4).sint(pinMaxDepth, 5).sint(pinMaxDepth, 0).varint(pinTimestamp, 1).varint(pinTimestamp, someDay))
	c.raw("scalars reset by zero", wire{}.varint(pinType, 1).varint(pinType, 0).sint(pinMaxDepth, 5).sint(pinMaxDepth, 0).varint(pinTimestamp, 1).varint(pinTimestamp, 0))
	c.raw("fields in reverse", wire{}.varint(pinTimestamp, someDay).
		options(wire{}.bytes(optSortedMetadata, md).bytes(optOrigins, ip).varint(optExpireAt, someDay).str(optName, "n").sint(optReplMax, 3).sint(optReplMin, 2)).
		bytes(pinReference, cidV0("r").Bytes()).sint(pinMaxDepth, -1).bytes(pinAllocations, []byte(ed25519Peer(0))).varint(pinType, 2).bytes(pinCid, cidRaw("x").Bytes()))
	c.raw("zeros written out", wire{}.varint(pinType, 0).sint(pinMaxDepth, 0).
		options(wire{}.sint(optReplMin, 0).sint(optReplMax, 0).str(optName, "").varint(optShardSize, 0).bytes(optPinUpdate, nil).varint(optExpireAt, 0)).
		varint(pinTimestamp, 0).bytes(pinReference, nil))
}

func truncationCases(c *pinCases) {
	ref := cidRaw("truncated ref")
	p := api.Pin{
		PinOptions: api.PinOptions{ReplicationFactorMin: 2, ReplicationFactorMax: 3, Name: "cut", ShardSize: 300,
			Metadata: map[string]string{"k": "v"}, Origins: []api.Multiaddr{addr("/ip4/1.2.3.4/tcp/1")}},
		Cid: cidRaw("truncated"), Type: api.ShardType, Allocations: peers(1), MaxDepth: 1, Reference: &ref,
	}
	p.Timestamp = someTime(someDay)
	p.ExpireAt = someTime(someDay + 1)
	value := must(p.ProtoMarshal())
	for n := range value {
		c.add(fmt.Sprintf("cut to %d of %d bytes", n, len(value)), p.Cid.Bytes(), value[:n], "UTC")
	}
	c.add("not cut", p.Cid.Bytes(), value, "UTC")
}
