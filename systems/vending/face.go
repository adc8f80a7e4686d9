package vending

import (
	"context"

	"plumb/base/units"
	"plumb/face"
)

// Face is the room's table of contents for the house.
func (s *System) Face() face.Face {
	return face.Face{
		Name: realm, Title: "Vending fleet", Group: "Devices and money", Questions: []int{12},
		Asks:  "188,888 machines report at midnight. What breaks, and what holds?",
		Pages: s.pages(), API: s.api(), Links: s.links(),
		Topics: s.topics(),
		Work:   s.work(), Run: s.Run, Check: s.Check, Live: s.live, Demo: s.Demo, Behind: s.behind,
		Collect: s.measures.collectors(),
		About:   about,
	}
}

// live is the figure on the start page.
func (s *System) live(ctx context.Context) (face.Figure, error) {
	t, err := s.Tonight(ctx)
	if err != nil {
		return face.Figure{}, err
	}
	return face.Figure{
		Value: units.Count(int64(t.Total.Reported)),
		Label: "of " + units.Count(int64(t.Total.Machines-t.Total.New)) + " machines reported tonight",
	}, nil
}

var about = face.About{
	Answer: []string{
		"All machines calling at midnight is a herd: at a server that stores 500 reports a second, 188,888 of them need more than six minutes, while machines give up after seconds and call again. The server does work that nobody waits for any more, and most reports are lost.",
		"Here each machine has its own slot in a window after its city's midnight, from a hash of its id: stable, even, and stored nowhere. In 60 minutes that is about 52 reports a second.",
		"Should they all come at once all the same, after an outage for instance, the queue before the database is bounded, and whoever finds it full is told at once when to come back: a slot of its own, a little slower than the measured capacity. Two calls a machine, and nothing is lost.",
		"A report is acknowledged when it is committed and synced to the disk, and applied once per the id that the machine chose, over HTTP as over MQTT, where the PUBACK follows the commit. So a machine on a bad line sends again until it has an answer.",
		"A city's night is planned when nearly all of its machines are in, not at a fixed hour: never before its own 01:00, never after its 02:00. Who is still late is planned from its last report and what it usually sells. Each vehicle gets its load list and its route.",
	},
	Limits: []string{
		"Up to some thousands of machines on one server that stores as many reports in the seconds that a machine waits, midnight itself is fine: the proof names the number. You do not need slots then, but still the report ids.",
		"A slot that was given lives in the process that gave it: behind a balancer, send a machine to the same process (by its token), or it may have to call a third time.",
		"Machines connect, report and leave. Where their connections must stay open, the broker here holds some ten thousand a process; for millions put EMQX or VerneMQ before the same topics, which is untested here.",
		"Routes are as the crow flies, times a factor for streets: no street map is read.",
		"A machine whose clock is more than 5 minutes ahead or behind by more than the retention is not believed: its report is kept under the time it came.",
	},
	ScaleOut: []string{
		"Any number of processes on one PostgreSQL serve the same fleet: all state is in the database, reports of one machine may come to any of them, and revocations reach all of them over NATS.",
		"A region is a cell of its own: PostgreSQL, NATS and processes. A machine belongs to one, is told its address, and follows its city when that is handed over.",
	},
	Docs: "docs/vending.md",
}
