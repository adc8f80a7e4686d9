package placement_test

import (
	"fmt"
	"slices"

	"plumb/engines/placement"
)

func Example() {
	now, err := placement.New("hash", []placement.Node{
		{Name: "a", Weight: 1, Domain: "rack 1"},
		{Name: "b", Weight: 1, Domain: "rack 1"},
		{Name: "c", Weight: 2, Domain: "rack 2"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	users := placement.People(10_000)
	fmt.Println(users[0], "is on", now.Node(now.Place(users[0])).Name)
	copies := make([]int, 2)
	for _, i := range copies[:now.Places(copies, users[0])] {
		fmt.Println("a copy in", now.Node(i).Domain)
	}

	// A shard more: what moves, moves to it.
	next, err := now.With(append(now.Nodes(), placement.Node{Name: "d", Weight: 1}))
	if err != nil {
		fmt.Println(err)
		return
	}
	moved := map[string]int{}
	for m := range placement.Diff(now, next, slices.Values(users)) {
		moved[m.To]++
	}
	fmt.Println("of 10000 users move:", moved)
	// Output:
	// keria.0 is on c
	// a copy in rack 2
	// a copy in rack 1
	// of 10000 users move: map[d:2056]
}

func ExampleSnapshot_Balance() {
	s, err := placement.New("hash", []placement.Node{{Name: "a", Weight: 1}, {Name: "b", Weight: 1}})
	if err != nil {
		fmt.Println(err)
		return
	}
	// Two stars, whom the hash put on the same shard, and nobody else of weight.
	loads := func(yield func(string, placement.Load) bool) {
		_ = yield("ada", placement.Load{100}) && yield("bob", placement.Load{90}) && yield("eve", placement.Load{10})
	}
	next, moves, err := s.Balance(loads, 1.10)
	for _, m := range moves {
		fmt.Printf("%s moves from %s to %s with %.0f%% of the load\n", m.Key, m.From, m.To, 100*m.Share)
	}
	fmt.Println(err, next.Node(next.Place("ada")).Name != next.Node(next.Place("bob")).Name)
	// Output:
	// bob moves from a to b with 45% of the load
	// <nil> true
}
