package plan

import "plumb/engines/forecast"

// costFormulas are money written off: each thing in equal parts over its life, and what
// running it takes. What stands there today is taken as evenly aged and bought at
// today's prices.
func costFormulas() []forecast.Formula {
	return []forecast.Formula{
		{Name: "cost", Title: "All costs, written off", Unit: "USD/month", Is: "cost_hdd + cost_ssd + cost_servers + cost_racks + running", Show: true, Total: sum},
		{Name: "cash", Title: "All cash", Unit: "USD/month", Is: "cash_hdd + cash_ssd + cash_servers + cash_racks + running", Note: "paid with the order", Show: true, Total: sum},
		{Name: "cost_per_user", Title: "Cost of a user", Unit: "USD/user/month", Is: `when(people > 0, cost / max(people, q("0.001 user")), 0)`, Show: true, Total: mean},
		{Name: "cost_per_photo", Title: "Cost of a photo kept", Unit: "USD/photo/year", Is: `when(photos > 0, cost / max(photos, q("0.001 photo")), 0)`, Show: true, Total: mean},
		{Name: "cost_per_tb", Title: "Cost of a TB as users see it", Unit: "USD/TB/month", Is: `when(logical_bytes > 0, cost / max(logical_bytes, q("1 byte")), 0)`, Show: true, Total: mean},
	}
}

func cashFormulas() []forecast.Formula {
	return []forecast.Formula{
		{Name: "cash_hdd", Title: "Cash: hard disks", Unit: "USD/month", Is: "hdd_to_buy * hdd_size * hdd_price * hdd_level", Show: true, Total: sum},
		{Name: "cash_ssd", Title: "Cash: SSDs", Unit: "USD/month", Is: "ssd_to_buy * ssd_size * ssd_price * ssd_level", Show: true, Total: sum},
		{Name: "server_price", Unit: "USD/server", Is: `(hdd_servers_ordered * hdd_server_price + ssd_servers_ordered * ssd_server_price + cpu_ordered * cpu_server_price) / max(servers_ordered, q("1 server"))`, Note: "of the mix"},
		{Name: "cash_servers", Title: "Cash: servers", Unit: "USD/month", Is: `((hdd_servers_ordered - prev(hdd_servers_ordered, hdd_servers_start)) * hdd_server_price + (ssd_servers_ordered - prev(ssd_servers_ordered, ssd_servers_start)) * ssd_server_price + (cpu_ordered - prev(cpu_ordered, cpu_start)) * cpu_server_price + (servers_replaced - prev(servers_replaced, q("0 servers"))) * server_price) / q("1 month")`, Show: true, Total: sum},
		{Name: "cash_racks", Title: "Cash: racks and network", Unit: "USD/month", Is: "racks_to_buy * (rack_price + network_price)", Show: true, Total: sum},

		{Name: "hdd_start_value", Unit: "USD", Is: "prev(hdd_start_value, hdd_start * hdd_size * hdd_price)"},
		{Name: "ssd_start_value", Unit: "USD", Is: "prev(ssd_start_value, ssd_start * ssd_size * ssd_price)"},
		{Name: "servers_start_value", Unit: "USD", Is: "prev(servers_start_value, hdd_servers_start * hdd_server_price + ssd_servers_start * ssd_server_price + cpu_start * cpu_server_price)"},
		{Name: "racks_start_value", Unit: "USD", Is: "prev(racks_start_value, racks_start * (rack_price + network_price))"},
		writtenOff("hdd", "Cost: hard disks", "disk_span"), writtenOff("ssd", "Cost: SSDs", "disk_span"),
		writtenOff("servers", "Cost: servers", "server_span"), writtenOff("racks", "Cost: racks and network", "rack_span"),

		{Name: "cost_power", Title: "Cost: electricity", Unit: "USD/month", Is: "energy * power_price * power_level", Show: true, Total: sum},
		{Name: "cost_floor", Title: "Cost: floor", Unit: "USD/month", Is: "floor_space * floor_price", Show: true, Total: sum},
		{Name: "cost_lines", Title: "Cost: internet lines", Unit: "USD/month", Is: "lines * line_size * line_price", Show: true, Total: sum},
		{Name: "cost_upkeep", Title: "Cost: upkeep", Unit: "USD/month", Is: "(servers_ordered * server_price + racks * network_price) * maintenance", Show: true, Total: sum},
		{Name: "cost_staff", Title: "Cost: people", Unit: "USD/month", Is: "staff * salary", Show: true, Total: sum},
		{Name: "running", Title: "Running it: cash and cost alike", Unit: "USD/month", Is: "cost_power + cost_floor + cost_lines + cost_upkeep + cost_staff", Show: true, Total: sum},
	}
}

// writtenOff is what is spent, in equal parts over the span that begins with the order.
func writtenOff(what, title, span string) forecast.Formula {
	return forecast.Formula{
		Name: "cost_" + what, Title: title, Unit: "USD/month", Show: true, Total: sum,
		Is: `recent(cash_` + what + ` * q("1 month"), ` + span + `) / ` + span + ` + ` + what + `_start_value * max(1 - month * q("1 month") / ` + span + `, 0) / ` + span,
	}
}
