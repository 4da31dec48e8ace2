package vectors

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"

	"pinstate-interop/internal/cluster"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs/boxo/datastore/dshelp"
)

// SnapshotVector says what dsstate's Unmarshal makes of one input.
type SnapshotVector struct {
	Name  string `json:"name"`
	Input string `json:"input_b64"`
	OK    bool   `json:"ok"`
	// Error is what ended the reading; entries before it are in Entries.
	Error   *string         `json:"error"`
	Entries []SnapshotEntry `json:"entries"`
}

// SnapshotEntry is one datastore record after the reading, in key order. The
// key is without its leading slash; KeyHex is exact where KeyText, being JSON,
// cannot hold invalid UTF-8. Value is null for a nil value.
type SnapshotEntry struct {
	KeyText string  `json:"key_text"`
	KeyHex  string  `json:"key_text_hex"`
	Value   *string `json:"value_hex"`
}

// mp builds msgpack by hand, one header family at a time.
type mp []byte

func (m mp) raw(b ...byte) mp     { return append(m, b...) }
func (m mp) text(s string) mp     { return append(m, s...) }
func (m mp) fixStr(s string) mp   { return m.raw(0xa0 | byte(len(s))).text(s) }
func (m mp) str8(s string) mp     { return m.raw(0xd9, byte(len(s))).text(s) }
func (m mp) str16(s string) mp    { return m.u16(0xda, len(s)).text(s) }
func (m mp) str32(s string) mp    { return m.u32(0xdb, len(s)).text(s) }
func (m mp) bin8(s string) mp     { return m.raw(0xc4, byte(len(s))).text(s) }
func (m mp) bin16(s string) mp    { return m.u16(0xc5, len(s)).text(s) }
func (m mp) bin32(s string) mp    { return m.u32(0xc6, len(s)).text(s) }
func (m mp) u16(h byte, n int) mp { return binary.BigEndian.AppendUint16(m.raw(h), uint16(n)) }
func (m mp) u32(h byte, n int) mp { return binary.BigEndian.AppendUint32(m.raw(h), uint32(n)) }

func (m mp) clone() mp { return append(mp(nil), m...) }

// own writes s as Go's encoder does.
func (m mp) own(s string) mp {
	switch {
	case len(s) < 32:
		return m.fixStr(s)
	case len(s) < 1<<16:
		return m.str16(s)
	default:
		return m.str32(s)
	}
}

// entry is one entry as Go's encoder writes it.
func entry(key, value string) mp { return mp{0x82}.fixStr("k").own(key).fixStr("v").own(value) }

type snapshotCases struct{ cases[snapshotCase] }

type snapshotCase struct {
	name  string
	input []byte
}

func (c *snapshotCases) add(name string, parts ...mp) {
	var input []byte
	for _, p := range parts {
		input = append(input, p...)
	}
	c.put(name, snapshotCase{name, input})
}

// keyText is the key under which dsstate stores a pin.
func keyText(cid api.Cid) string { return dshelpKey(cid.Bytes()) }

func dshelpKey(cid []byte) string { return dshelp.NewKeyFromBinary(cid).BaseNamespace() }

// Snapshots evaluates every snapshot case.
func Snapshots() ([]SnapshotVector, error) {
	c := &snapshotCases{}
	headerCases(c)
	shapeCases(c)
	snapshotKeyCases(c)
	cutCases(c)
	return evaluated(c.cases, "snapshot", snapshotCase.evaluate)
}

func (c snapshotCase) evaluate() (SnapshotVector, error) {
	v := SnapshotVector{Name: c.name, Input: base64.StdEncoding.EncodeToString(c.input), Entries: []SnapshotEntry{}}
	m, err := cluster.NewMemory()
	if err != nil {
		return v, err
	}
	if err := m.State.Unmarshal(bytes.NewReader(c.input)); err != nil {
		v.Error = text(cluster.CleanError(err))
	}
	v.OK = v.Error == nil
	entries, err := m.Entries()
	if err != nil {
		return v, err
	}
	for _, e := range entries {
		one := SnapshotEntry{KeyText: e.Key, KeyHex: hex.EncodeToString([]byte(e.Key))}
		if e.Value != nil {
			one.Value = text(hex.EncodeToString(e.Value))
		}
		v.Entries = append(v.Entries, one)
	}
	return v, nil
}
