package vectors

import "google.golang.org/protobuf/encoding/protowire"

// Field numbers of ipfs-cluster's api/pb/types.proto.
const (
	pinCid         = 1
	pinType        = 2
	pinAllocations = 3
	pinMaxDepth    = 4
	pinReference   = 5
	pinOptions     = 6
	pinTimestamp   = 7

	optReplMin        = 1
	optReplMax        = 2
	optName           = 3
	optShardSize      = 4
	optMetadata       = 6
	optPinUpdate      = 7
	optExpireAt       = 8
	optOrigins        = 9
	optSortedMetadata = 10
)

// wire builds protobuf bytes that ipfs-cluster itself would never write.
type wire []byte

func (w wire) varint(field protowire.Number, v uint64) wire {
	return protowire.AppendVarint(protowire.AppendTag(w, field, protowire.VarintType), v)
}

func (w wire) sint(field protowire.Number, v int64) wire {
	return w.varint(field, protowire.EncodeZigZag(v))
}

func (w wire) bytes(field protowire.Number, b []byte) wire {
	return protowire.AppendBytes(protowire.AppendTag(w, field, protowire.BytesType), b)
}

func (w wire) str(field protowire.Number, s string) wire { return w.bytes(field, []byte(s)) }

func (w wire) fixed32(field protowire.Number, v uint32) wire {
	return protowire.AppendFixed32(protowire.AppendTag(w, field, protowire.Fixed32Type), v)
}

func (w wire) fixed64(field protowire.Number, v uint64) wire {
	return protowire.AppendFixed64(protowire.AppendTag(w, field, protowire.Fixed64Type), v)
}

func (w wire) group(field protowire.Number, body []byte) wire {
	w = append(protowire.AppendTag(w, field, protowire.StartGroupType), body...)
	return protowire.AppendTag(w, field, protowire.EndGroupType)
}

// clone keeps a shared start from being overwritten by what is appended to it.
func (w wire) clone() wire { return append(wire(nil), w...) }

func (w wire) raw(b ...byte) wire { return append(w, b...) }

// options appends an Options message.
func (w wire) options(o wire) wire { return w.bytes(pinOptions, o) }

// long appends v as a varint of exactly n bytes, padded with empty groups.
func long(v uint64, n int) []byte {
	out := make([]byte, 0, n)
	for i := 0; i < n-1; i++ {
		out = append(out, byte(v)|0x80)
		v >>= 7
	}
	return append(out, byte(v))
}

// as appends field with the given wire type and harmless content.
func (w wire) as(field protowire.Number, typ protowire.Type) wire {
	switch typ {
	case protowire.VarintType:
		return w.varint(field, 7)
	case protowire.Fixed32Type:
		return w.fixed32(field, 7)
	case protowire.Fixed64Type:
		return w.fixed64(field, 7)
	case protowire.BytesType:
		return w.bytes(field, []byte("x"))
	default:
		return w.group(field, nil)
	}
}
