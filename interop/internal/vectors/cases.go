package vectors

import "fmt"

// cases are inputs to evaluate, each under a name of its own.
type cases[C any] struct {
	names []string
	list  []C
	seen  map[string]bool
}

func (c *cases[C]) put(name string, one C) {
	if c.seen[name] {
		panic("two vectors are called " + name)
	}
	if c.seen == nil {
		c.seen = map[string]bool{}
	}
	c.seen[name] = true
	c.names = append(c.names, name)
	c.list = append(c.list, one)
}

// evaluated gives the vector of every case, in the order in which they were put. What
// fails is called a vector of this kind.
func evaluated[C, V any](c cases[C], kind string, evaluate func(C) (V, error)) ([]V, error) {
	out := make([]V, 0, len(c.list))
	for i, one := range c.list {
		v, err := evaluate(one)
		if err != nil {
			return nil, fmt.Errorf("%s vector %q: %w", kind, c.names[i], err)
		}
		out = append(out, v)
	}
	return out, nil
}
