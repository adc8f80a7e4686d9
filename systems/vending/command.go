package vending

import "plumb/face"

// Commands are the room's command-line verbs, `plumb vending VERB`. They are
// declared without opening anything.
func Commands() []face.Command {
	return []face.Command{
		{System: realm, Needs: face.Nothing, New: dtsCommand},
		{System: realm, Needs: face.Nothing, New: routeCommand},
		{System: realm, Needs: face.Nothing, New: simulateCommand},
		{System: realm, Needs: face.Nothing, New: handoverCommand},
	}
}
