package plan

import (
	"strings"

	"plumb/engines/forecast"
)

// Buying works as a stock that is looked at once a month. An order of this month is in
// service lead months later, so it must cover what is needed then. What that is, nobody
// knows; it is reckoned from what the plan knows this month on its path: the bytes that
// are there, this month's increase freed of its season, the growth of users, and
// videos whose month is set. Where growth turns out larger than reckoned, disks become
// fuller than they should, and short_bytes says when they do not suffice at all.

// kind is a kind of disk; hdd and ssd are bought by the same formulas.
type kind struct {
	name, unit, one, title string
	reads                  string // disks that the reads need, whatever the bytes
}

var (
	hdd = kind{"hdd", "disks", "disk", "Hard disks", "ceil(disk_reads * ahead / hdd_iops)"}
	ssd = kind{"ssd", "ssds", "ssd", "SSDs", `q("0 ssds")`}
)

func aheadFormulas() []forecast.Formula {
	return []forecast.Formula{
		{Name: "lead_time", Unit: "month", Is: "ceil(lead)"},
		{Name: "lead_months", Is: `lead_time / q("1 month")`},
		{Name: "start_blobs", Unit: "TB", Is: "start_photos * (size_now * kept_share + thumbnail_bytes)"},
		{Name: "came", Unit: "TB/month", Is: "(uploaded_bytes + uploaded_videos) * kept_share + uploaded_photos * (1 - edited) * thumbnail_bytes"},
		{Name: "trend", Unit: "TB/month", Is: `max((blob_bytes - prev(blob_bytes, start_blobs)) / q("1 month") + came * (1 / max(season, 0.05) - 1), 0)`, Note: "this month's increase, as if its season were the mean"},
		{Name: "known_videos", Unit: "TB", Is: `videos_a_month * kept_share * q("1 month") * when(month < video_from, max(min(month + lead_months - video_from + 1, lead_months), 0), 0)`, Note: "that will have come when the order does"},
		{Name: "blobs_ahead", Unit: "TB", Is: "blob_bytes + trend * lead_time * (1 + max(growth - churn, 0) * (lead_months + 1) / 2) + known_videos"},
		{Name: "ahead", Is: `blobs_ahead / max(blob_bytes, q("1 byte"))`},
		{Name: "start_share", Is: `start_blobs / max(blob_bytes, q("1 byte"))`, Note: "of the first month's bytes, those that were there"},
		{Name: "disk_months", Unit: "month", Is: "disk_life"},
		{Name: "disk_span", Unit: "month", Is: "ceil(disk_months)"},
		{Name: "disk_rest", Unit: "month", Is: `disk_span - q("1 month")`},
		{Name: "server_months", Unit: "month", Is: "server_life"},
		{Name: "server_span", Unit: "month", Is: "ceil(server_months)"},
		{Name: "server_rest", Unit: "month", Is: `server_span - q("1 month")`},
		{Name: "rack_months", Unit: "month", Is: "rack_life"},
		{Name: "rack_span", Unit: "month", Is: "ceil(rack_months)"},
		{Name: "rack_rest", Unit: "month", Is: `rack_span - q("1 month")`},
		{Name: "short_bytes", Title: "Without room: ordered too late", Unit: "TB", Is: "max(hdd_bytes - hdd_room, 0) + max(ssd_bytes - ssd_room, 0)", Show: true, Total: peak},
	}
}

// diskFormulas write @ for the kind's name and # for its unit. A formula that begins
// with prev of itself keeps its first month's value.
func diskFormulas(k kind) []forecast.Formula {
	fs := []forecast.Formula{
		{Name: "@_start", Unit: "#", Is: "prev(@_start, ceil(@_bytes * start_share * installed / max_fill / @_size))"},
		{Name: "@_target", Unit: "TB", Is: "@_bytes * ahead * (1 + buffer) / max_fill"},
		{Name: "@_new", Unit: "#", Is: "max(ceil(max(@_target - prev(@_room_ordered, @_start * @_size), 0) / @_size), READS - prev(@_ordered, @_start))"},
		{Name: "@_ordered", Unit: "#", Is: "prev(@_ordered, @_start) + @_new"},
		{Name: "@_room_ordered", Unit: "TB", Is: "prev(@_room_ordered, @_start * @_size) + @_new * @_size"},
		{Name: "@_disks", Title: "TITLE in service", Unit: "#", Is: "@_ordered - recent(@_new, lead_time)", Show: true, Total: last},
		{Name: "@_room", Unit: "TB", Is: "@_room_ordered - recent(@_new * @_size, lead_time)"},
		{Name: "@_fill", Title: "How full they are: TITLE", Unit: "%", Is: `when(@_room > 0, @_bytes / max(@_room, q("1 byte")), 0)`, Show: true, Total: peak},

		// Those that were there are evenly aged; those bought leave after their life.
		{Name: "@_before", Unit: "#", Is: `prev(@_bought, q("0 #"))`},
		{Name: "@_replaced", Unit: "#", Is: `floor(@_start * min(month * q("1 month") / disk_span, 1)) + sum(@_before) - recent(@_before, disk_rest)`},
		{Name: "@_failed", Unit: "#", Is: `floor(sum(@_disks * @_afr * q("1 month")))`},
		{Name: "@_shelf", Unit: "#", Is: "ceil(spare * @_ordered)"},
		{Name: "@_bought", Unit: "#", Is: `@_new + @_replaced - prev(@_replaced, q("0 #")) + @_failed - prev(@_failed, q("0 #")) + max(@_shelf - prev(@_shelf, ceil(spare * @_start)), 0)`},

		{Name: "@_step", Is: `pow(1 + @_trend * q("1 year"), 1.0/12)`},
		{Name: "@_level", Is: "prev(@_level, 1 / @_step) * @_step"},
	}
	with := strings.NewReplacer("@", k.name, "#", k.unit, "TITLE", k.title, "READS", k.reads)
	for i := range fs {
		fs[i].Name, fs[i].Title, fs[i].Unit, fs[i].Is = with.Replace(fs[i].Name), with.Replace(fs[i].Title), with.Replace(fs[i].Unit), with.Replace(fs[i].Is)
	}
	return fs
}

func serverFormulas() []forecast.Formula {
	return []forecast.Formula{
		// Coded data needs a server for each of its pieces.
		{Name: "hdd_least", Unit: "servers", Is: `regions * max(least_servers, when(coded > 0, (ec_data + ec_parity) * q("1 server/region"), 0))`},
		{Name: "ssd_least", Unit: "servers", Is: "regions * least_servers"},
		{Name: "hdd_servers_start", Unit: "servers", Is: "prev(hdd_servers_start, max(ceil(hdd_start / hdd_per_server), when(hdd_start > 0, hdd_least, 0)))"},
		{Name: "ssd_servers_start", Unit: "servers", Is: "prev(ssd_servers_start, max(ceil(ssd_start / ssd_per_server), when(ssd_start > 0, ssd_least, 0)))"},
		{Name: "hdd_servers_ordered", Unit: "servers", Is: "max(prev(hdd_servers_ordered, hdd_servers_start), max(ceil(hdd_ordered / hdd_per_server), when(hdd_ordered > 0, hdd_least, 0)))"},
		{Name: "ssd_servers_ordered", Unit: "servers", Is: "max(prev(ssd_servers_ordered, ssd_servers_start), max(ceil(ssd_ordered / ssd_per_server), when(ssd_ordered > 0, ssd_least, 0)))"},
		{Name: "hdd_servers", Unit: "servers", Is: "max(prev(hdd_servers, hdd_servers_start), max(ceil(hdd_disks / hdd_per_server), when(hdd_disks > 0, hdd_least, 0)))"},
		{Name: "ssd_servers", Unit: "servers", Is: "max(prev(ssd_servers, ssd_servers_start), max(ceil(ssd_disks / ssd_per_server), when(ssd_disks > 0, ssd_least, 0)))"},

		{Name: "cpu_need", Unit: "servers", Is: "uploaded_photos * resize_cpu * machine_factor * peak / (cores * cpu_fill)"},
		{Name: "cpu_start", Unit: "servers", Is: "prev(cpu_start, when(start_photos > 0, max(ceil(cpu_need), regions * least_servers), 0))"},
		{Name: "cpu_ordered", Unit: "servers", Is: "max(prev(cpu_ordered, cpu_start), max(ceil(cpu_need * min(ahead, 2)), when(uploaded_photos > 0, regions * least_servers, 0)))"},

		{Name: "servers_start", Unit: "servers", Is: "hdd_servers_start + ssd_servers_start + cpu_start"},
		{Name: "servers_ordered", Unit: "servers", Is: "hdd_servers_ordered + ssd_servers_ordered + cpu_ordered"},
		{Name: "servers", Title: "Servers in service", Unit: "servers", Is: "hdd_servers + ssd_servers + cpu_ordered", Show: true, Total: last},
		{Name: "servers_before", Unit: "servers", Is: `prev(servers_bought, q("0 servers"))`},
		{Name: "servers_replaced", Unit: "servers", Is: `floor(servers_start * min(month * q("1 month") / server_span, 1)) + sum(servers_before) - recent(servers_before, server_rest)`},
		{Name: "servers_bought", Unit: "servers", Is: `servers_ordered - prev(servers_ordered, servers_start) + servers_replaced - prev(servers_replaced, q("0 servers"))`},
	}
}

func rackFormulas() []forecast.Formula {
	return []forecast.Formula{
		{Name: "height", Unit: "units", Is: `hdd_servers_ordered * hdd_server_height + ssd_servers_ordered * ssd_server_height + cpu_ordered * q("1 unit/server")`},
		{Name: "power_ordered", Unit: "kW", Is: "hdd_ordered * hdd_watts + ssd_ordered * ssd_watts + servers_ordered * server_watts"},
		{Name: "rack_need", Unit: "racks", Is: `max(height / rack_height, power_ordered / max(rack_power - network_watts, q("50 W/rack")))`},
		{Name: "racks_start", Unit: "racks", Is: `prev(racks_start, when(servers_start > 0, max(ceil(rack_need * servers_start / max(servers_ordered, q("1 server"))), regions * q("1 rack/region")), 0))`},
		{Name: "racks", Title: "Racks", Unit: "racks", Is: `max(prev(racks, racks_start), max(ceil(rack_need), when(servers_ordered > 0, regions * q("1 rack/region"), 0)))`, Note: "they stand when their servers come", Show: true, Total: last},
		{Name: "racks_before", Unit: "racks", Is: `prev(racks_bought, q("0 racks"))`},
		{Name: "racks_replaced", Unit: "racks", Is: `floor(racks_start * min(month * q("1 month") / rack_span, 1)) + sum(racks_before) - recent(racks_before, rack_rest)`},
		{Name: "racks_bought", Unit: "racks", Is: `racks - prev(racks, racks_start) + racks_replaced - prev(racks_replaced, q("0 racks"))`},
		{Name: "floor_space", Title: "Floor", Unit: "m²", Is: "racks * rack_space", Show: true, Total: last},

		{Name: "power", Title: "Power used by the machines", Unit: "kW", Is: "hdd_disks * hdd_watts + ssd_disks * ssd_watts + servers * server_watts + racks * network_watts", Show: true, Total: last},
		{Name: "energy", Title: "Energy, with cooling", Unit: "kWh/month", Is: "power * pue", Show: true, Total: sum},
		{Name: "power_step", Is: `pow(1 + power_trend * q("1 year"), 1.0/12)`},
		{Name: "power_level", Is: "prev(power_level, 1 / power_step) * power_step"},
		{Name: "staff", Title: "People who run it", Unit: "persons", Is: "when(people > 0, max(servers / staff_servers, least_staff), 0)", Show: true, Total: last},
	}
}

// buyFormulas are the purchase schedule: what to order in which month.
func buyFormulas() []forecast.Formula {
	month := func(name, title, unit string) forecast.Formula {
		return forecast.Formula{Name: name + "_to_buy", Title: title, Unit: unit + "/month", Is: name + `_bought / q("1 month")`, Show: true, Total: sum}
	}
	return []forecast.Formula{
		month("hdd", "Order: hard disks", "disks"), month("ssd", "Order: SSDs", "ssds"),
		month("servers", "Order: servers", "servers"), month("racks", "Order: racks with their network", "racks"),
	}
}
