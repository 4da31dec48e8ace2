package vectors

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"pinstate-interop/internal/cluster"
	"pinstate-interop/internal/pingen"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// WriteMutated writes n vectors of each kind to dir, in the same files and form
// as Write does, of random pins whose bytes were damaged. The same seed gives
// the same vectors.
func WriteMutated(dir string, n int, seed uint64) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	m := &mutator{rng: rand.New(rand.NewPCG(seed, 0x6d7574617465))}
	defer inUTC()()
	if err := m.collect(pingen.Set{Seed: seed, Profile: pingen.Rich, N: min(n, 2000)}); err != nil {
		return err
	}
	pins := func() ([]PinVector, error) {
		return times(n, func(name string) (PinVector, error) {
			i := m.rng.IntN(len(m.values))
			return pinCase{name, m.cids[i], m.mutate(m.values[i], wireTokens), "UTC"}.evaluate()
		})
	}
	reader := func() ([]ReaderVector, error) {
		return times(n, func(name string) (ReaderVector, error) {
			input := bytes.Join([][]byte{m.pick(m.lines), m.mutate(m.pick(m.lines), jsonTokens), m.pick(m.lines)}, []byte("\n"))
			return importVector(name, string(input), cluster.ImportOptions{})
		})
	}
	snapshots := func() ([]SnapshotVector, error) {
		return times(n, func(name string) (SnapshotVector, error) {
			input := m.mutate(append(bytes.Clone(m.pick(m.entries)), m.pick(m.entries)...), wireTokens)
			return snapshotCase{name, input}.evaluate()
		})
	}
	if err := writeVectors(filepath.Join(dir, "pins.jsonl"), pins); err != nil {
		return err
	}
	if err := writeVectors(filepath.Join(dir, "json_reader.jsonl"), reader); err != nil {
		return err
	}
	return writeVectors(filepath.Join(dir, "snapshots.jsonl"), snapshots)
}

// times calls one for n names.
func times[T any](n int, one func(name string) (T, error)) ([]T, error) {
	out := make([]T, 0, n)
	for i := range n {
		v, err := one(fmt.Sprintf("mutated %d", i))
		if err != nil {
			return nil, fmt.Errorf("mutated vector %d: %w", i, err)
		}
		out = append(out, v)
	}
	return out, nil
}

// mutator damages well-formed inputs.
type mutator struct {
	rng     *rand.Rand
	cids    [][]byte
	values  [][]byte
	lines   [][]byte
	entries [][]byte
}

func (m *mutator) collect(set pingen.Set) error {
	return set.Each(func(pin api.Pin, value []byte) error {
		state, err := cluster.NewMemory()
		if err != nil {
			return err
		}
		if err := state.Put(pin.Cid.Bytes(), value); err != nil {
			return err
		}
		line, err := state.ExportLine()
		if err != nil {
			return err
		}
		m.cids = append(m.cids, pin.Cid.Bytes())
		m.values = append(m.values, value)
		m.lines = append(m.lines, line)
		m.entries = append(m.entries, entry(keyText(pin.Cid), string(value)))
		return nil
	})
}

func (m *mutator) pick(from [][]byte) []byte { return from[m.rng.IntN(len(from))] }

// Pieces that mean something to the formats, to be put in somewhere.
var (
	jsonTokens = []string{"null", "true", "{", "}", "[", "]", ":", ",", `"`, `""`, `\`, `\u`, `\ud83d`, `\ude00`, `\u0000`, "-", "-0", "1.0", "1e3", "9223372036854775808",
		"\x00", "\x1f", "\x7f", "\xff", "\xe2\x80\xa8", "\xed\xa0\x80", " ", "\n", `"cid":null,`, `"NAME":"x",`, `"metadata":{"a":null},`, `"type":"all",`, "+24:00", ".5", ",5", "Z", "/", "/p2p/", "=", "ſ"}
	wireTokens = []string{"\x00", "\x01", "\x7f", "\x80", "\x80\x00", "\xff", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x0a", "\x10", "\x1a", "\x20", "\x2a", "\x32", "\x38", "\x32\x00", "\x43\x44", "\x52\x00", "\x52\x02\x0a\x00", "\x3a\x00",
		"\xc0", "\x80", "\x90", "\x82", "\x92", "\x81", "\xa0", "\xa1k", "\xa1v", "\xc4\x01x", "\xd9\x01x", "\xda\x00\x01x", "\xde\x00\x02", "\xcc\x05", "\xca\x00\x00\x00\x00", "\xed\xa0\x80"}
)

// mutate returns a copy with one to three damages.
func (m *mutator) mutate(input []byte, tokens []string) []byte {
	b := bytes.Clone(input)
	for range 1 + m.rng.IntN(3) {
		if len(b) == 0 {
			break
		}
		at := m.rng.IntN(len(b))
		end := min(len(b), at+1+m.rng.IntN(8))
		switch m.rng.IntN(7) {
		case 0:
			b[at] ^= 1 << m.rng.IntN(8)
		case 1:
			b[at] = byte(m.rng.Uint32())
		case 2:
			b = append(b[:at:at], b[end:]...)
		case 3:
			b = bytes.Join([][]byte{b[:end], b[at:]}, nil)
		case 4:
			b = b[:at]
		case 5:
			token := tokens[m.rng.IntN(len(tokens))]
			b = bytes.Join([][]byte{b[:at], []byte(token), b[at:]}, nil)
		default:
			token := tokens[m.rng.IntN(len(tokens))]
			b = bytes.Join([][]byte{b[:at], []byte(token), b[end:]}, nil)
		}
	}
	return b
}
