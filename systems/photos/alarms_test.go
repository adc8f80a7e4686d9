package photos

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"plumb/engines/hooks"
	"plumb/systems/photos/internal/shard"
)

func TestAlarmsAreToldOnceAndWhenTheyEnd(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		board := func(free int64, p99 time.Duration, second int64) []Load {
			return []Load{
				{Name: "first", State: shard.Active, Weight: 1, Up: true, Bytes: 2 << 30, Size: 1000, Free: free, P99: p99},
				{Name: "second", State: shard.Active, Weight: 1, Up: second > 0, Bytes: max(second, 1<<30)},
				{Name: "old", State: shard.Lost},
			}
		}
		events := func() []string {
			list, err := h.Deliveries(ctx, h.who["boss"])
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, d := range list {
				names = append(names, strings.TrimPrefix(d.Event, "photos.alarm."))
			}
			return names
		}
		now := func() (s string) {
			list, err := h.Alarms(ctx, h.who["boss"])
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range list {
				s += fmt.Sprintf("%s/%s ", a.Shard, a.What)
			}
			return s
		}
		for _, step := range []struct {
			board  []Load
			alarms string
			events []string // since the step before
		}{
			{board(500, time.Millisecond, 2<<30), "", nil},
			{board(100, time.Millisecond, 2<<30), "first/full ", []string{"raised"}},
			{board(99, time.Millisecond, 2<<30), "first/full ", nil},
			{board(170, time.Millisecond, 2<<30), "first/full ", nil}, // hardly better
			{board(400, time.Second, 0), "first/slow second/down ", []string{"cleared", "raised", "raised"}},
			{board(400, time.Millisecond, 20<<30), "/uneven ", []string{"cleared", "cleared", "raised"}},
			{board(400, time.Millisecond, 2<<30), "", []string{"cleared"}},
		} {
			before := len(events())
			h.clock.Advance(time.Minute)
			if err := h.watchBoard(ctx, step.board); err != nil {
				t.Fatal(err)
			}
			list := events()
			got := list[:len(list)-before]
			slices.Sort(got)
			slices.Sort(step.events)
			if now() != step.alarms || !slices.Equal(got, step.events) {
				t.Errorf("alarms %q, not %q; events %v, not %v", now(), step.alarms, got, step.events)
			}
		}
		if _, err := h.Alarms(ctx, h.who["ada"]); err == nil {
			t.Error("alarms are for operators")
		}
	}, func(s *setup) {
		told, err := hooks.Open(context.Background(), hooks.Needs{DB: s.needs.DB, Jobs: s.needs.Jobs, Clock: s.needs.Clock, Log: s.needs.Log})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.needs.Jobs.Register(told.Work()...); err != nil {
			t.Fatal(err)
		}
		s.needs.Hooks, s.config.AlarmSlow = told, 500*time.Millisecond
		s.config.Webhook, s.config.WebhookSecret = "http://127.0.0.1:1/", hooks.NewSecret()
	})
}
