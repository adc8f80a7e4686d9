package placement

// With returns the next snapshot: with these nodes, which are matched by their names with
// the old ones, so that nodes are added, removed or weighed anew; with as few moves as the
// strategy allows. Exceptions stay where they are, as long as their nodes do. Errors:
// Invalid, naming each fault.
func (s *Snapshot) With(nodes []Node) (*Snapshot, error) {
	out, err := frame(s.strategy, nodes)
	if err != nil {
		return nil, err
	}
	from := renumber(s, out)
	if out.rule, err = s.rule.next(s, out, from); err != nil {
		return nil, err
	}
	out.pins = s.pins.renumbered(from)
	out.arm()
	return out, nil
}
