package vectors

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"

	"pinstate-interop/internal/cluster"
)

// ReaderVector says what `state import` makes of one input.
type ReaderVector struct {
	Name  string `json:"name"`
	Input string `json:"input_b64"`
	OK    bool   `json:"ok"`
	// Error is what ended the import; pins before it are in Stored.
	Error  *string  `json:"error"`
	Stored []Stored `json:"stored"`
}

// Stored is one record of the state after the import, in key order.
type Stored struct {
	Key   string `json:"key_hex"`
	Value string `json:"value_hex"`
}

// OptionsVector is a ReaderVector with the flags of `state import`.
type OptionsVector struct {
	ReaderVector
	ReplicationMin int      `json:"replication_min"`
	ReplicationMax int      `json:"replication_max"`
	Allocations    []string `json:"allocations"`
}

type readerCases struct{ cases[readerCase] }

type readerCase struct{ name, input string }

func (c *readerCases) add(name, input string) {
	c.put(name, readerCase{name, input})
}

func importVector(name, input string, opts cluster.ImportOptions) (ReaderVector, error) {
	v := ReaderVector{Name: name, Input: base64.StdEncoding.EncodeToString([]byte(input)), Stored: []Stored{}}
	m, err := cluster.NewMemory()
	if err != nil {
		return v, err
	}
	if err := cluster.Import(bytes.NewReader([]byte(input)), m.State, opts); err != nil {
		v.Error = text(cluster.CleanError(err))
	}
	v.OK = v.Error == nil
	entries, err := m.Entries()
	if err != nil {
		return v, err
	}
	for _, e := range entries {
		key, err := e.CidBytes()
		if err != nil {
			return v, err
		}
		v.Stored = append(v.Stored, Stored{hex.EncodeToString(key), hex.EncodeToString(e.Value)})
	}
	return v, nil
}

// Reader evaluates every case of the JSON reader.
func Reader() ([]ReaderVector, error) {
	c := &readerCases{}
	streamCases(c)
	keyCases(c)
	scalarCases(c)
	jsonTextCases(c)
	idCases(c)
	jsonTimeCases(c)
	containerCases(c)
	return evaluated(c.cases, "reader", func(one readerCase) (ReaderVector, error) {
		return importVector(one.name, one.input, cluster.ImportOptions{})
	})
}
