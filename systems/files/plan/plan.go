// Package plan is the capacity and cost model of file storage: from people, uploads
// and what is alike among them to bytes as their owners see them, bytes stored, rows
// in the database, traffic, servers and money, month by month.
//
//	p, err := forecast.Compile(plan.Model())
//	r, err := p.Run(ctx, forecast.Options{Months: 12, Seed: 1})
//	fmt.Println(r.Output("stored_bytes").Total.P90) // GB at the end of the year
//
// What was measured replaces what is assumed: unit costs by experiments (FromProofs),
// and how much is alike by a folder of the user's own (Measure):
//
//	s, err := plan.Measure(ctx, "/srv/share", time.Now(), nil)
//	m, err := plan.Model().WithMeasured(s.Inputs())
package plan

import (
	"fmt"
	"time"

	"plumb/engines/cas/cdc"
	"plumb/engines/forecast"
)

// What the room itself sets when nobody sets anything. A test holds them to the
// room's configuration; the plan does not import the room, which would bring its
// database and pages along.
const (
	defaultVersions = 30 * 24 * time.Hour
	defaultBin      = 30 * 24 * time.Hour
)

// Model returns the model with its defaults.
func Model() forecast.Model {
	return forecast.Model{
		Name:      "files",
		Title:     "file storage that stores a thing once",
		Main:      "cost",
		Inputs:    inputs(),
		Formulas:  formulas(),
		Scenarios: scenarios(),
		Stacks: []forecast.Stack{
			{Of: "logical_bytes", Parts: []string{"content_bytes", "saved_files", "saved_chunks", "saved_compression"}},
			{Of: "cost", Parts: []string{"cost_storage", "cost_database", "cost_traffic", "cost_servers"}},
		},
	}
}

func inputs() []forecast.Input {
	const people, alike, keep, server, price = "People and uploads", "What is alike", "Keeping", "Servers and database", "Prices"
	days := func(d time.Duration) string { return fmt.Sprintf("%g day", d.Hours()/24) }
	return []forecast.Input{
		{Name: "users", Group: people, Title: "People who upload, in the first month", Unit: "users", Default: "10k users", From: "the question names none: a public service in its first year", Max: 1e10},
		{Name: "growth", Group: people, Title: "Growth of their number, a month; it compounds", Unit: "%", Default: "0 to 6 %", From: "up to a doubling in a year; assumed", Kind: forecast.Variable, Autocorrelation: 0.5, Signed: true, Min: -50, Max: 100},
		{Name: "start_bytes", Group: people, Title: "Bytes that are there at the beginning", Unit: "GB", Default: "0 GB", From: "a new store"},
		{Name: "uploads", Group: people, Title: "Files that a person uploads", Unit: "files/user/month", Default: "10 to 60 files/user/month", From: "assumed", Max: 1e6},
		{Name: "file_size", Group: people, Title: "Size of an uploaded file, on average", Unit: "MB/file", Default: "0.5 to 4 MB/file", From: "assumed: documents have less, photos 2 to 5 MB, videos far more; --calibrate DIR measures it", Min: 1e-6, Max: 1e6},
		{Name: "edited", Group: people, Title: "Share of uploads that are a new version of a file that is there", Unit: "%", Default: "5 to 25 %", From: "assumed", Max: 100},
		{Name: "removed", Group: people, Title: "Share of what is there that its owners remove", Unit: "%/month", Default: "0.5 to 3 %/month", From: "assumed", Max: 100},
		{Name: "read", Group: people, Title: "Bytes downloaded, as a share of what is there", Unit: "%/month", Default: "10 to 150 %/month", From: "from an archive to a place where much is shared; assumed", Max: 1e5},
		{Name: "peak", Group: people, Title: "The busiest minute over the mean", Default: "3 to 10", From: "evenings, and a few large uploads at once; assumed", Min: 1, Max: 1000},

		{Name: "duplicates", Group: alike, Title: "Share of bytes in files equal to another one", Unit: "%", Default: "10 to 45 %", From: "Meyer and Bolosky (FAST 2011) found about half on 857 desktops of one company, from memory; strangers share less; --calibrate DIR measures it", Max: 100},
		{Name: "chunk_saved", Group: alike, Title: "Share of different files' bytes in chunks that another one has", Unit: "%", Default: "1 to 12 %", From: "edited copies, disk images, archives of the same things; assumed; --calibrate DIR measures it", Max: 100},
		{Name: "version_saved", Group: alike, Title: "Share of a new version's bytes that its predecessor has too", Unit: "%", Default: "40 to 95 %", From: "appended and inserted text keeps nearly all, a recompressed picture nothing; assumed", Max: 100},
		{Name: "compression", Group: alike, Title: "Share that compression saves of what is left", Unit: "%", Default: "3 to 25 %", From: "nothing of photos, videos and archives, two thirds of text; assumed; --calibrate DIR measures it", Max: 100},
		{Name: "overhead", Group: alike, Title: "Bytes added by sealing", Unit: "%", Default: "0.03 to 0.5 %", From: "16 bytes a frame of 64 KiB, and as many for a file of a few kB", Max: 100},
		{Name: "waiting", Group: alike, Title: "Bytes that wait for the collector", Unit: "%", Default: "1 to 20 %", From: "a pack is rewritten when more than a quarter of it is dead", Max: 100},
		{Name: "chunk_size", Group: alike, Title: "Size of a chunk, on average", Unit: "KiB", Default: fmt.Sprintf("%d KiB", cdc.Default.Avg>>10), From: "the chunker's setting", Min: 4, Max: 1 << 20},

		{Name: "versions_kept", Group: keep, Title: "How long earlier versions are kept", Unit: "day", Default: days(defaultVersions), From: "the room's default setting", Max: 3650},
		{Name: "bin_kept", Group: keep, Title: "How long removed files are kept", Unit: "day", Default: days(defaultBin), From: "the room's default setting", Max: 3650},
		{Name: "copies", Group: keep, Title: "Copies of everything: the store, its replica, the backup", Default: "3", From: "one may be lost while another is restored", Min: 1, Max: 20},

		{Name: "upload_cpu", Group: server, Title: "Processor time of an upload, whatever its size", Unit: "core*ms/file", Default: "0.5 to 3 core*ms/file", From: "assumed: HTTP, a row, a share of a commit; replace it by a measurement"},
		{Name: "ingest_cpu", Group: server, Title: "Processor time to take in content: hash, cut, compress, seal, write", Unit: "core*s/GB", Default: "2 to 10 core*s/GB", From: "assumed; replace it by a measurement"},
		{Name: "serve_cpu", Group: server, Title: "Processor time to give it out: read, open, verify, send", Unit: "core*s/GB", Default: "0.5 to 3 core*s/GB", From: "assumed; replace it by a measurement"},
		{Name: "machine_factor", Group: server, Title: "Speed of the measured machine over that of a server bought", Default: "0.7 to 1.5", From: "spread among common cloud processors; assumed", Min: 0.01, Max: 100},
		{Name: "headroom", Group: server, Title: "Capacity over the busiest minute", Default: "2", From: "for the collector, the scrubber, and a server that fails", Min: 1, Max: 1000},
		{Name: "cores", Group: server, Title: "Cores of a server", Unit: "cores/server", Default: "4 cores/server", From: "a small server", Min: 1, Max: 1024},
		{Name: "least_servers", Group: server, Title: "Servers at least", Unit: "servers", Default: "2 servers", From: "one may fail", Min: 1, Max: 1000},
		{Name: "file_rows", Group: server, Title: "Rows in the database for a file", Unit: "rows/file", Default: "5 to 8 rows/file", From: "its name, its content, a chunk, and two to five words to search by: 6.5 for 2,000 uploads with names as cameras and offices give them", Min: 1, Max: 1000},
		{Name: "row_bytes", Group: server, Title: "Size of a row with its indexes", Unit: "bytes/row", Default: "260 to 450 bytes/row", From: "2,000 uploads in the room's tables on SQLite: 264 when packed; pages are two thirds full as they grow, and PostgreSQL adds 24 a row", Min: 1, Max: 1e5},

		{Name: "storage_price", Group: price, Title: "Price of storage for content", Unit: "USD/GB/month", Default: "0.004 to 0.025 USD/GB/month", From: "from own disks to object storage, list prices from memory; assumed"},
		{Name: "database_price", Group: price, Title: "Price of storage for the database", Unit: "USD/GB/month", Default: "0.08 to 0.25 USD/GB/month", From: "fast volumes, list prices from memory; assumed"},
		{Name: "traffic_price", Group: price, Title: "Price of bytes that leave", Unit: "USD/GB", Default: "0.001 to 0.09 USD/GB", From: "from a rented server's flat rate to a cloud's list price, from memory; assumed"},
		{Name: "server_price", Group: price, Title: "Price of a server", Unit: "USD/server/month", Default: "60 to 180 USD/server/month", From: "list prices of 4 cores and 16 GB at several clouds, from memory; assumed"},
	}
}

func formulas() []forecast.Formula {
	const sum, last, peak = forecast.Sum, forecast.Last, forecast.Peak
	return []forecast.Formula{
		{Name: "cost", Title: "All costs", Unit: "USD/month", Is: "cost_storage + cost_database + cost_traffic + cost_servers", Show: true, Total: sum},

		{Name: "grown", Unit: "", Is: "prev(grown, 1) * when(month > 1, 1 + growth, 1)", Note: "compounds along the path"},
		{Name: "people", Title: "People who upload", Unit: "users", Is: "users * grown", Show: true, Total: last},
		{Name: "uploaded_files", Title: "Files uploaded", Unit: "files/month", Is: "people * uploads", Show: true, Total: sum},
		{Name: "upload_bytes", Title: "Bytes uploaded", Unit: "GB/month", Is: "uploaded_files * file_size", Show: true, Total: sum},

		// What people see: a new version takes its predecessor's place, which is kept
		// for a time, as is what they remove.
		{Name: "removed_bytes", Unit: "GB/month", Is: "prev(live_bytes, start_bytes) * removed"},
		{Name: "live_bytes", Title: "Files, as their owners see them", Unit: "GB", Is: `max(prev(live_bytes, start_bytes) + (upload_bytes * (1 - edited) - removed_bytes) * q("1 month"), 0)`, Show: true, Total: last},
		{Name: "past_bytes", Title: "Earlier versions", Unit: "GB", Is: `recent(upload_bytes * q("1 month") * edited, versions_kept)`, Show: true, Total: last},
		{Name: "bin_bytes", Title: "The bin", Unit: "GB", Is: `recent(removed_bytes * q("1 month"), bin_kept)`, Show: true, Total: last},
		{Name: "logical_bytes", Title: "All that people keep, versions and bin included", Unit: "GB", Is: "live_bytes + past_bytes + bin_bytes", Show: true, Total: last},

		// What is stored of it.
		{Name: "whole_bytes", Unit: "GB", Is: "live_bytes + bin_bytes"},
		{Name: "saved_files", Title: "Saved: equal files", Unit: "GB", Is: "whole_bytes * duplicates", Show: true, Total: last},
		{Name: "saved_chunks", Title: "Saved: equal chunks of different files and versions", Unit: "GB", Is: "whole_bytes * (1 - duplicates) * chunk_saved + past_bytes * version_saved", Show: true, Total: last},
		{Name: "chunked_bytes", Unit: "GB", Is: "logical_bytes - saved_files - saved_chunks"},
		{Name: "saved_compression", Title: "Saved: compression", Unit: "GB", Is: "chunked_bytes * compression", Show: true, Total: last},
		{Name: "content_bytes", Title: "Content left to store", Unit: "GB", Is: "chunked_bytes - saved_compression", Show: true, Total: last},
		{Name: "stored_bytes", Title: "Stored, one copy", Unit: "GB", Is: "content_bytes * (1 + overhead + waiting)", Show: true, Total: last},
		{Name: "disk_bytes", Title: "Stored, all copies", Unit: "GB", Is: "stored_bytes * copies", Show: true, Total: last},
		{Name: "saved_share", Title: "Share saved of what people keep", Unit: "%", Is: "1 - stored_bytes / max(logical_bytes, q(\"1 byte\"))", Show: true, Total: last},

		{Name: "kept_files", Title: "Files and versions kept", Unit: "files", Is: "logical_bytes / file_size", Show: true, Total: last},
		{Name: "db_rows", Title: "Rows in the database", Unit: "rows", Is: `kept_files * file_rows + chunked_bytes / chunk_size * q("2 rows")`, Note: "a chunk, and its place in a content", Show: true, Total: last},
		{Name: "db_bytes", Title: "Database, one copy", Unit: "GB", Is: "db_rows * row_bytes", Show: true, Total: last},

		{Name: "traffic", Title: "Bytes downloaded", Unit: "GB/month", Is: "live_bytes * read", Show: true, Total: sum},
		{Name: "peak_in", Title: "Bandwidth in, busiest minute", Unit: "Mbit/s", Is: "upload_bytes * peak", Show: true, Total: peak},
		{Name: "peak_out", Title: "Bandwidth out, busiest minute", Unit: "Mbit/s", Is: "traffic * peak", Show: true, Total: peak},

		{Name: "cores_needed", Unit: "cores", Is: "(uploaded_files * upload_cpu + upload_bytes * ingest_cpu + traffic * serve_cpu) * peak * machine_factor * headroom"},
		{Name: "servers", Title: "Servers", Unit: "servers", Is: "max(ceil(cores_needed / cores), least_servers)", Show: true, Total: last},

		{Name: "cost_storage", Title: "Storage costs", Unit: "USD/month", Is: "disk_bytes * storage_price", Show: true, Total: sum},
		{Name: "cost_database", Title: "Database costs", Unit: "USD/month", Is: "db_bytes * copies * database_price", Show: true, Total: sum},
		{Name: "cost_traffic", Title: "Traffic costs", Unit: "USD/month", Is: "traffic * traffic_price", Show: true, Total: sum},
		{Name: "cost_servers", Title: "Server costs", Unit: "USD/month", Is: "servers * server_price", Show: true, Total: sum},
		{Name: "money_saved", Title: "Storage costs that storing things once saves", Unit: "USD/month", Is: "(logical_bytes - stored_bytes) * copies * storage_price", Note: "against a file an upload, with the same copies", Show: true, Total: sum},
	}
}

func scenarios() []forecast.Scenario {
	return []forecast.Scenario{
		{Name: "conservative", Note: "videos that nobody else has, kept for ever and watched often", Set: map[string]string{
			"file_size": "20 to 200 MB/file", "duplicates": "1 to 5 %", "chunk_saved": "0.1 to 1 %", "compression": "0.1 to 1 %", "removed": "0.1 to 0.5 %/month", "read": "100 to 600 %/month",
		}},
		{Name: "aggressive", Note: "one company's documents: many copies, many versions, text", Set: map[string]string{
			"file_size": "0.2 to 1 MB/file", "duplicates": "40 to 65 %", "chunk_saved": "10 to 30 %", "compression": "20 to 50 %", "edited": "30 to 60 %", "read": "5 to 30 %/month",
		}},
		{Name: "tenfold", Note: "ten times the people", Set: map[string]string{"users": "100k users"}},
	}
}
