// Package plan is the capacity and cost model of the vending fleet: from
// machines, reports and prices to the rate at the peak, the size of the
// database, cellular data, servers, vehicles and money, month by month.
//
//	p, err := forecast.Compile(plan.Model())
//	r, err := p.Run(ctx, forecast.Options{Months: 12, Seed: 1})
//	fmt.Println(r.Output("peak_rate").Total.P90) // reports a second
//
// What was measured replaces what is assumed (see FromProofs), and what is known
// of a fleet replaces what the question says (see ByCity):
//
//	m, err := plan.Model().WithMeasured(plan.FromProofs(figure))
package plan

import (
	"fmt"
	"time"

	"plumb/engines/forecast"
)

// What the room itself sets when nobody sets anything. A test holds them to the
// room's configuration; the plan does not import the room, which would bring
// its database and pages along.
const (
	defaultWindow    = time.Hour
	defaultRetention = 400 * 24 * time.Hour
)

// Model returns the model with its defaults.
func Model() forecast.Model {
	return forecast.Model{
		Name:      "vending",
		Title:     "a fleet of 188,888 vending machines that report every night",
		Main:      "cost",
		Counts:    []string{"report", "call", "city", "visit", "vehicle", "technician", "slot", "region"},
		Inputs:    inputs(),
		Formulas:  formulas(),
		Scenarios: scenarios(),
		Stacks: []forecast.Stack{
			{Of: "cost", Parts: []string{"cost_restocking", "cost_repair", "cost_it"}},
			{Of: "cost_it", Parts: []string{"cost_cellular", "cost_servers", "cost_storage"}},
		},
	}
}

func inputs() []forecast.Input {
	const fleet, reports, server, data, field = "Fleet", "Reports", "Servers", "Data", "Restocking and repair"
	return []forecast.Input{
		{Name: "machines", Group: fleet, Title: "Machines installed when the roll-out is complete", Unit: "machines", Default: "188,888 machines", From: "the question", Max: 1e9},
		{Name: "rolled_out", Group: fleet, Title: "Share of them installed, month by month", Unit: "%", Default: "months(8, 17, 25, 33, 42, 50, 58, 67, 75, 83, 92, 100) %", From: "the question: 'in the coming year', taken as evenly", Max: 100},
		{Name: "growth", Group: fleet, Title: "Growth of the fleet beyond that, a month; it compounds", Unit: "%", Default: "0 %", From: "the question names none", Kind: forecast.Variable, Autocorrelation: 0.5, Signed: true, Min: -50, Max: 100},
		{Name: "silent", Group: fleet, Title: "Machines that do not report on a night (broken, unplugged, no line)", Unit: "%", Default: "0.5 to 3 %", From: "a guess; the fleet page shows the real share", Kind: forecast.Variable, Autocorrelation: 0.5, Max: 100},
		{Name: "cities", Group: fleet, Title: "Cities, each with its own depot", Unit: "cities", Default: "80 to 200 cities", From: "'major cities around the world'; our table has 478", Min: 1, Max: 1e5},
		{Name: "busiest_midnight", Group: fleet, Title: "Share of the fleet whose midnight comes first together", Unit: "%", Default: "15 to 40 %", From: "of the 478 cities in our table 107 (22%) share one midnight in winter, the most of any", Min: 1, Max: 100},

		{Name: "reports_per_day", Group: reports, Title: "Reports of a machine a day, one of them in its night's window", Unit: "reports/machine/day", Default: "1 reports/machine/day", From: "the question", Max: 1e5},
		{Name: "window", Group: reports, Title: "Window after midnight over which a city's machines are spread", Unit: "min", Default: fmt.Sprintf("%g min", defaultWindow.Minutes()), From: "the room's default setting", Min: 1, Max: 720},
		{Name: "clock_spread", Group: reports, Title: "How far machines' clocks are apart, for the design without a window", Unit: "s", Default: "5 to 120 s", From: "a guess between a network's clock and a free-running one", Min: 1, Max: 3600},
		{Name: "report_bytes", Group: reports, Title: "Size of a report", Unit: "bytes/report", Default: "1200 to 3200 bytes/report", From: "20 to 45 slots at some 65 bytes of JSON; real EVA-DTS files have 3 kB on average", Min: 1},
		{Name: "overhead_bytes", Group: reports, Title: "Bytes of a call beyond the report: TCP, TLS, headers, the answer", Unit: "bytes/call", Default: "5 to 9 kB/call", From: "a full TLS 1.3 handshake with an ECDSA chain of two, packet headers included; assumed", Min: 1},
		{Name: "tries", Group: reports, Title: "Calls until a report is acknowledged", Unit: "calls/report", Default: "1.02 to 1.25 calls/report", From: "one, and more on a bad line: 2 to 20% of calls drop; assumed", Kind: forecast.Variable, Autocorrelation: 0.5, Min: 1, Max: 1000},
		{Name: "call_seconds", Group: reports, Title: "How long a call keeps its connection open", Unit: "s/call", Default: "1 to 5 s/call", From: "four to six round trips on a cellular line of 0.2 to 0.8 s", Max: 3600},

		{Name: "report_cpu", Group: server, Title: "Processor time of a report: TLS, check, store, answer", Unit: "core*ms/report", Default: "0.7 to 2.5 core*ms/report", From: "assumed: half of it is the handshake; replace it by a measurement"},
		{Name: "machine_factor", Group: server, Title: "Speed of the measured machine over that of a server bought", Default: "0.7 to 1.5", From: "spread among common cloud processors; assumed", Min: 0.01, Max: 100},
		{Name: "headroom", Group: server, Title: "Capacity over the busiest second, for catching up after an outage", Default: "3", From: "after ten minutes away the backlog is gone in five", Min: 1, Max: 1000},
		{Name: "cores", Group: server, Title: "Cores of a server", Unit: "cores/server", Default: "4 cores/server", From: "a small server", Min: 1, Max: 1024},
		{Name: "regions", Group: server, Title: "Regions, each with its own servers and database", Unit: "regions", Default: "3 regions", From: "America, Europe and Africa, Asia and Oceania", Min: 1, Max: 100},
		{Name: "least_servers", Group: server, Title: "Servers in a region at least, so that one may fail", Unit: "servers/region", Default: "2 servers/region", From: "one may fail", Min: 1, Max: 1000},
		{Name: "server_price", Group: server, Title: "Price of a server", Unit: "USD/server/month", Default: "60 to 180 USD/server/month", From: "list prices of 4 cores and 16 GB at several clouds, from memory; assumed"},

		{Name: "rows", Group: data, Title: "Rows in the database for a report", Unit: "rows/report", Default: "1 rows/report", From: "the room's tables: slots and faults stay within the report", Min: 1, Max: 1e4},
		{Name: "stored_factor", Group: data, Title: "Bytes in the database for a byte reported, indexes included", Default: "1.15 to 2.1", From: "20,000 reports in the room's tables on SQLite: 1.19 at 1.2 kB, 2.03 at 2.1 kB (one to a page of 4 kB), 1.28 at 3.3 kB", Max: 100},
		{Name: "retention", Group: data, Title: "How long reports are kept", Unit: "day", Default: fmt.Sprintf("%g day", defaultRetention.Hours()/24), From: "the room's default setting", Min: 1, Max: 3650},
		{Name: "copies", Group: data, Title: "Copies: the database, its replica, the backup", Default: "3", From: "one may be lost while another is restored", Min: 1, Max: 20},
		{Name: "storage_price", Group: data, Title: "Price of storage", Unit: "USD/GB/month", Default: "0.05 to 0.2 USD/GB/month", From: "between object storage and fast volumes; assumed"},
		{Name: "sim_price", Group: data, Title: "Cellular subscription of a machine", Unit: "USD/machine/month", Default: "0.15 to 1.5 USD/machine/month", From: "between a prepaid ten-year SIM and a monthly one for things; assumed"},
		{Name: "data_price", Group: data, Title: "Cellular data", Unit: "USD/GB", Default: "1 to 25 USD/GB", From: "from pooled to pay-as-you-go tariffs for things; assumed"},

		{Name: "restocks", Group: field, Title: "Restocking visits to a machine", Unit: "visits/machine/month", Default: "3 to 6 visits/machine/month", From: "every five to ten days; assumed", Max: 100},
		{Name: "stops", Group: field, Title: "Machines that a vehicle restocks on a day", Unit: "visits/vehicle/day", Default: "18 to 32 visits/vehicle/day", From: "a shift of eight hours at 15 to 25 minutes a stop, driving included; assumed", Min: 1, Max: 500},
		{Name: "vehicle_price", Group: field, Title: "Vehicle with its driver and fuel", Unit: "USD/vehicle/month", Default: "3k to 8k USD/vehicle/month", From: "wages differ by city; assumed"},
		{Name: "repairs", Group: field, Title: "Repair visits to a machine", Unit: "visits/machine/month", Default: "0.05 to 0.25 visits/machine/month", From: "one fault in four to twenty months needs a technician; assumed", Kind: forecast.Variable, Autocorrelation: 0.3, Max: 100},
		{Name: "repair_stops", Group: field, Title: "Machines that a technician repairs on a day", Unit: "visits/technician/day", Default: "6 to 12 visits/technician/day", From: "40 to 80 minutes a stop, driving included; assumed", Min: 0.1, Max: 100},
		{Name: "technician_price", Group: field, Title: "Technician with vehicle and parts", Unit: "USD/technician/month", Default: "4k to 10k USD/technician/month", From: "wages differ by city; assumed"},
		{Name: "working_days", Group: field, Title: "Share of days on which people drive", Unit: "%", Default: "86 %", From: "six days of seven", Min: 1, Max: 100},
	}
}

func formulas() []forecast.Formula {
	const sum, last, peak = forecast.Sum, forecast.Last, forecast.Peak
	return []forecast.Formula{
		{Name: "cost", Title: "All costs", Unit: "USD/month", Is: "cost_it + cost_restocking + cost_repair", Show: true, Total: sum},
		{Name: "cost_it", Title: "Costs of the system alone", Unit: "USD/month", Is: "cost_cellular + cost_servers + cost_storage", Show: true, Total: sum},

		{Name: "grown", Unit: "", Is: "prev(grown, 1) * when(month > 1, 1 + growth, 1)", Note: "compounds along the path"},
		{Name: "fleet", Title: "Machines in the field", Unit: "machines", Is: "machines * rolled_out * grown", Show: true, Total: last},
		{Name: "reporting", Unit: "machines", Is: "fleet * (1 - silent)"},
		{Name: "reports", Title: "Reports stored", Unit: "reports/month", Is: "reporting * reports_per_day", Show: true, Total: sum},

		// The peak is the busiest second of the busiest midnight. Independent calls
		// make a Poisson process; the largest of some 3,600 seconds lies about 3.6
		// standard deviations above the mean.
		{Name: "night_calls", Unit: "calls", Is: `reporting * busiest_midnight * tries * q("1 report/machine")`},
		{Name: "window_rate", Title: "Calls in the window, on average", Unit: "calls/s", Is: "night_calls / window", Show: true, Total: peak},
		{Name: "peak_rate", Title: "Calls in the busiest second", Unit: "calls/s", Is: `window_rate + 3.6 * sqrt(window_rate / q("1 call/s")) * q("1 call/s")`, Note: "Poisson", Show: true, Total: peak},
		{Name: "midnight_rate", Title: "Calls at midnight without a window", Unit: "calls/s", Is: "night_calls / clock_spread", Note: "the question's design", Show: true, Total: peak},
		{Name: "connections", Title: "Connections open at once", Unit: "connections", Is: `peak_rate * call_seconds * q("1 connection")`, Show: true, Total: peak},

		{Name: "cores_needed", Unit: "cores", Is: "peak_rate / tries * report_cpu * machine_factor * headroom"},
		{Name: "servers", Title: "Servers", Unit: "servers", Is: "max(ceil(cores_needed / cores), regions * least_servers)", Show: true, Total: last},

		{Name: "db_rows", Title: "Rows in the database", Unit: "rows", Is: `recent(reports * q("1 month") * rows, retention)`, Show: true, Total: last},
		{Name: "db_bytes", Title: "Database, one copy", Unit: "GB", Is: `recent(reports * q("1 month") * report_bytes * stored_factor, retention)`, Show: true, Total: last},
		{Name: "cellular_bytes", Title: "Cellular data", Unit: "GB/month", Is: "reports * (report_bytes + tries * overhead_bytes)", Note: "a report is carried whole once; a dropped call costs its overhead", Show: true, Total: sum},

		// Vehicles are counted per city: half a vehicle's work in each of two cities
		// needs two vehicles.
		{Name: "depots", Unit: "cities", Is: "round(cities)"},
		{Name: "visits", Title: "Restocking visits", Unit: "visits/month", Is: "fleet * restocks", Show: true, Total: sum},
		{Name: "vehicles", Title: "Vehicles", Unit: "vehicles", Is: "ceil(visits / (stops * working_days) / depots) * depots", Show: true, Total: last},
		{Name: "repair_visits", Title: "Repair visits", Unit: "visits/month", Is: "fleet * repairs", Show: true, Total: sum},
		{Name: "technicians", Title: "Technicians", Unit: "technicians", Is: "ceil(repair_visits / (repair_stops * working_days) / depots) * depots", Show: true, Total: last},

		{Name: "cost_cellular", Title: "Cellular lines and data", Unit: "USD/month", Is: "fleet * sim_price + cellular_bytes * data_price", Show: true, Total: sum},
		{Name: "cost_servers", Title: "Server costs", Unit: "USD/month", Is: "servers * server_price", Show: true, Total: sum},
		{Name: "cost_storage", Title: "Storage costs", Unit: "USD/month", Is: "db_bytes * copies * storage_price", Show: true, Total: sum},
		{Name: "cost_restocking", Title: "Restocking: vehicles and drivers", Unit: "USD/month", Is: "vehicles * vehicle_price", Show: true, Total: sum},
		{Name: "cost_repair", Title: "Repair: technicians", Unit: "USD/month", Is: "technicians * technician_price", Show: true, Total: sum},
	}
}

func scenarios() []forecast.Scenario {
	return []forecast.Scenario{
		{Name: "conservative", Note: "one midnight for all, bad lines, dear data, hungry machines", Set: map[string]string{
			"busiest_midnight": "100 %", "tries": "1.3 to 2.5 calls/report", "data_price": "10 to 40 USD/GB", "restocks": "5 to 9 visits/machine/month",
		}},
		{Name: "aggressive", Note: "good lines, pooled tariffs, well planned routes", Set: map[string]string{
			"tries": "1 to 1.05 calls/report", "data_price": "0.5 to 4 USD/GB", "sim_price": "0.1 to 0.4 USD/machine/month", "stops": "26 to 40 visits/vehicle/day",
		}},
		{Name: "tenfold", Note: "ten times the machines", Set: map[string]string{"machines": "1,888,880 machines"}},
	}
}
