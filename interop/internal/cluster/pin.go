package cluster

import "github.com/ipfs-cluster/ipfs-cluster/api"

// Pin is ipfs-cluster's own pin.
type Pin = api.Pin

func castCid(b []byte) (api.Cid, error) { return api.CastCid(b) }
