package cluster

import (
	"io"
	_ "unsafe" // for go:linkname

	"github.com/ipfs-cluster/ipfs-cluster/api"
	_ "github.com/ipfs-cluster/ipfs-cluster/cmdutils" // the package linked to below
	"github.com/ipfs-cluster/ipfs-cluster/state"
)

// The loops behind `state import` and `state export` are private to cmdutils.
// Linking to them, instead of writing look-alikes, makes every vector and every
// benchmark figure come from the code that the real binary runs.

//go:linkname importState github.com/ipfs-cluster/ipfs-cluster/cmdutils.importState
func importState(r io.Reader, st state.State, opts api.PinOptions) error

//go:linkname exportState github.com/ipfs-cluster/ipfs-cluster/cmdutils.exportState
func exportState(w io.Writer, st state.State) error
