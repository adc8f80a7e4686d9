package plan

import "plumb/engines/forecast"

// never stands for a month that does not come.
const never = "999"

// inputs are all that a user may change, by heading. Every default says where it
// comes from: a public figure with its source and year, the question, the room, or
// an assumption, which --calibrate or the user's own books replace.
func inputs() []forecast.Input {
	var all []forecast.Input
	for _, group := range [][]forecast.Input{
		people(), pictures(), features(), keeping(), saving(), copying(), reading(), disks(), machines(), rooms(), money(), buying(),
	} {
		all = append(all, group...)
	}
	return all
}

func people() []forecast.Input {
	const g = "People"
	return []forecast.Input{
		{Name: "users", Group: g, Title: "Users today", Unit: "users", Default: "10M users", From: "the question names none; assumption: enough to need server farms", Max: 1e11},
		{Name: "growth", Group: g, Title: "New users in a month, as a share of all; it compounds", Unit: "%", Default: "2 to 4.5 %", From: "assumption: some half more in a year; put your own history in its place", Kind: forecast.Variable, Autocorrelation: 0.5, Max: 1000},
		{Name: "churn", Group: g, Title: "Users who leave in a month, as a share of all", Unit: "%", Default: "0.6 to 1.6 %", From: "assumption: one in nine leaves in a year", Kind: forecast.Variable, Autocorrelation: 0.5, Max: 100},
		{Name: "active", Group: g, Title: "Share of users who upload in a month", Unit: "%", Default: "25 to 45 %", From: "assumption", Kind: forecast.Variable, Autocorrelation: 0.9, Max: 100},
		{Name: "engagement", Group: g, Title: "Change a year of what an active user uploads", Unit: "%/year", Default: "-8 to 10 %/year", From: "assumption: about as much as today", Signed: true, Min: -90, Max: 1000},
	}
}

func pictures() []forecast.Input {
	const g = "Photos"
	return []forecast.Input{
		{Name: "photos_per_user", Group: g, Title: "Photos that an active user uploads", Unit: "photos/user/month", Default: "20 to 80 photos/user/month", From: "assumption: a part of what is taken, which Photutorial (2024) puts at 4.9 a day in Europe and 20 in the USA; --calibrate DIR counts by date", Max: 1e6},
		{Name: "season", Group: g, Title: "Uploads by month over the mean; the first is the plan's first month", Default: "cycle(0.9, 0.85, 0.92, 0.97, 1.03, 1.08, 1.18, 1.17, 1.02, 0.96, 0.89, 1.03)", From: "assumption: holidays in July, August and December, the plan begins in January; --calibrate DIR counts by date", Max: 100},
		{Name: "mix_jpeg", Group: g, Title: "Uploads that are JPEG: parts of all", Unit: "%", Default: "55 to 75 %", From: "assumption; --calibrate DIR counts them", Max: 100},
		{Name: "mix_heic", Group: g, Title: "Uploads that are HEIC or AVIF: parts of all", Unit: "%", Default: "15 to 35 %", From: "assumption: what telephones write since 2017, where they are not set to convert", Max: 100},
		{Name: "mix_png", Group: g, Title: "Uploads that are PNG: parts of all", Unit: "%", Default: "5 to 12 %", From: "assumption: pictures of screens", Max: 100},
		{Name: "mix_raw", Group: g, Title: "Uploads that are a camera's RAW: parts of all", Unit: "%", Default: "0.3 to 2 %", From: "assumption: few people, large files", Max: 100},
		{Name: "mix_other", Group: g, Title: "Uploads of other formats (WebP, GIF, TIFF): parts of all", Unit: "%", Default: "1 to 4 %", From: "assumption", Max: 100},
		{Name: "size_jpeg", Group: g, Title: "Size of a JPEG, on average", Unit: "MB/photo", Default: "2 to 4.5 MB/photo", From: "assumption: 12 megapixels at 0.2 to 0.4 bytes each; --calibrate DIR measures it", Max: 1e5},
		{Name: "size_heic", Group: g, Title: "Size of a HEIC or AVIF, on average", Unit: "MB/photo", Default: "1.2 to 2.6 MB/photo", From: "assumption: about half of a JPEG; --calibrate DIR measures it", Max: 1e5},
		{Name: "size_png", Group: g, Title: "Size of a PNG, on average", Unit: "MB/photo", Default: "0.6 to 3 MB/photo", From: "assumption: pictures of a telephone's screen; --calibrate DIR measures it", Max: 1e5},
		{Name: "size_raw", Group: g, Title: "Size of a RAW, on average", Unit: "MB/photo", Default: "18 to 40 MB/photo", From: "assumption: 24 megapixels of 14 bits, lightly compressed; --calibrate DIR measures it", Max: 1e5},
		{Name: "size_other", Group: g, Title: "Size of another format, on average", Unit: "MB/photo", Default: "0.1 to 1.5 MB/photo", From: "assumption; --calibrate DIR measures it", Max: 1e5},
		{Name: "resolution", Group: g, Title: "Growth a year of a photo's bytes, by resolution", Unit: "%/year", Default: "-2 to 8 %/year", From: "assumption: more pixels, better formats", Signed: true, Min: -90, Max: 1000},
		{Name: "photos_now", Group: g, Title: "Photos stored today", Unit: "photos/user", Default: "300 to 900 photos/user", From: "assumption: a part of the 2,100 on a telephone (Photutorial, 2023); your database knows", Max: 1e7},
		{Name: "size_now", Group: g, Title: "Size of a photo stored today, on average", Unit: "MB/photo", Default: "1.6 to 3 MB/photo", From: "assumption: somewhat less than of today's uploads; your database knows", Max: 1e5},
	}
}

func features() []forecast.Input {
	const g = "Features to come"
	return []forecast.Input{
		{Name: "edited", Group: g, Title: "Share of uploads that are a new version of a photo that is there", Unit: "%", Default: "2 to 8 %", From: "assumption: an editor within the service multiplies it", Max: 100},
		{Name: "video_from", Group: g, Title: "Month from which users upload videos", Default: never, From: "assumption: not within the plan; the scenario conservative has it in month 7", Max: 1200, Min: 1},
		{Name: "videos_per_user", Group: g, Title: "Videos that an active user uploads then", Unit: "videos/user/month", Default: "1 to 6 videos/user/month", From: "assumption", Max: 1e6},
		{Name: "video_size", Group: g, Title: "Size of a video, on average", Unit: "MB/video", Default: "20 to 90 MB/video", From: "assumption: half a minute at 5 to 24 Mbit/s", Max: 1e6},
	}
}

func keeping() []forecast.Input {
	const g = "How long things are kept"
	return []forecast.Input{
		{Name: "removed", Group: g, Title: "Share of what is there that users remove", Unit: "%/month", Default: "0.2 to 1 %/month", From: "assumption", Max: 100},
		{Name: "leavers_removed", Group: g, Title: "Share of a leaving user's photos that is deleted", Unit: "%", Default: "50 to 100 %", From: "assumption: accounts that are closed lose all, those that are forgotten nothing", Max: 100},
		{Name: "keep", Group: g, Title: "Rule: photos older than this are deleted", Unit: "year", Default: "100 year", From: "the question names no rule: for ever", Min: 0.1, Max: 100},
		{Name: "history", Group: g, Title: "How long the service has been running", Unit: "year", Default: "4 year", From: "assumption; it says how old today's photos are, and matters with a rule alone", Min: 0.1, Max: 100},
		{Name: "versions_kept", Group: g, Title: "How long earlier versions are kept", Unit: "month", Default: "12 month", From: "assumption", Max: 1200},
		{Name: "bin_kept", Group: g, Title: "How long removed photos are kept", Unit: "day", Default: "30 day", From: "the room's default setting", Max: 3650},
	}
}

func saving() []forecast.Input {
	const g = "What is saved and added"
	return []forecast.Input{
		{Name: "duplicates", Group: g, Title: "Share of bytes in photos equal to another one of the same owner", Unit: "%", Default: "1 to 8 %", From: "assumption; --calibrate DIR measures it", Max: 100},
		{Name: "compression", Group: g, Title: "Share that compression saves of what is left", Unit: "%", Default: "0 %", From: "the room keeps originals byte for byte; --calibrate DIR measures what its store's own compression saves, and recoding JPEGs without loss saves 22 % (Lepton, Dropbox, 2016)", Max: 100},
		{Name: "store_overhead", Group: g, Title: "Bytes that the store adds: sealing, and what waits for its collector", Unit: "%", Default: "1 to 8 %", From: "assumption: the store rewrites a pack when more than a quarter of it is dead", Max: 100},
		{Name: "thumbnail_bytes", Group: g, Title: "Smaller pictures of a photo, all sizes together", Unit: "kB/photo", Default: "300 to 700 kB/photo", From: "assumption: " + sizesInWords() + " on the longer edge; --calibrate DIR measures it", Max: 1e6},
		{Name: "metadata_bytes", Group: g, Title: "Rows of a photo in the database: itself, albums, permissions, links, with their indexes", Unit: "kB/photo", Default: "1.5 to 4 kB/photo", From: "assumption", Max: 1e4},
		{Name: "index_bytes", Group: g, Title: "Search index of a photo: date, camera, place, words", Unit: "kB/photo", Default: "0.3 to 1.2 kB/photo", From: "assumption", Max: 1e4},
	}
}

func copying() []forecast.Input {
	const g = "Copies"
	return []forecast.Input{
		{Name: "copies", Group: g, Title: "Copies at the first site", Default: "2", From: "the room's default setting; with one at a second site they are the usual three", Min: 1, Max: 20},
		{Name: "second_site", Group: g, Title: "Share of photos with a copy at a second site too, for disasters", Unit: "%", Default: "100 %", From: "assumption: a fire must not take anybody's photos", Max: 100},
		{Name: "second_copies", Group: g, Title: "Copies of them there", Default: "1", From: "assumption", Max: 20},
		{Name: "backup", Group: g, Title: "Backups, as a share of what is stored", Unit: "%", Default: "5 to 20 %", From: "assumption: what was deleted or changed lately, against mistakes; the sites are against disasters", Max: 1000},
		{Name: "metadata_copies", Group: g, Title: "Copies of the database and the search index", Default: "3", From: "assumption: primary, standby, second site", Min: 1, Max: 20},
		{Name: "coded", Group: g, Title: "Share of the first site's cold bytes under erasure coding instead of copies", Unit: "%", Default: "0 %", From: "the room keeps copies; the scenario coded has it", Max: 100},
		{Name: "ec_data", Group: g, Title: "Erasure coding: pieces with data, k", Default: "6", From: "assumption; Facebook's f4 has 10 (OSDI 2014)", Min: 1, Max: 100},
		{Name: "ec_parity", Group: g, Title: "Erasure coding: pieces more, m; so many may be lost", Default: "3", From: "assumption; Facebook's f4 has 4 (OSDI 2014)", Max: 100},
		{Name: "regions", Group: g, Title: "Regions, each a farm of its own for its own users", Unit: "regions", Default: "1 regions", From: "the question says 'server farms' and no number; assumption", Min: 1, Max: 1000},
	}
}

func reading() []forecast.Input {
	const g = "How photos are read"
	return []forecast.Input{
		{Name: "views", Group: g, Title: "Photos seen, by links and by their owners", Unit: "views/user/month", Default: "150 to 700 views/user/month", From: "assumption", Max: 1e7},
		{Name: "view_bytes", Group: g, Title: "Bytes sent for a photo seen", Unit: "kB/view", Default: "80 to 220 kB/view", From: "assumption: mostly the small and the medium size", Max: 1e6},
		{Name: "downloads", Group: g, Title: "Views that fetch the original", Unit: "%", Default: "0.5 to 2 %", From: "assumption", Max: 100},
		{Name: "peak", Group: g, Title: "The busiest minute over the mean", Default: "2.5 to 5", From: "assumption: evenings and Sundays", Min: 1, Max: 1000},
		{Name: "hot", Group: g, Title: "Share of originals that have one of their copies on SSD", Unit: "%", Default: "1 to 4 %", From: "assumption: those of the last weeks, which are asked for most (Huang et al., SOSP 2013)", Max: 100},
		{Name: "hot_thumbnails", Group: g, Title: "Share of smaller pictures that have one of their copies on SSD", Unit: "%", Default: "10 to 40 %", From: "assumption", Max: 100},
		{Name: "hit_rate", Group: g, Title: "Views that the cache shall answer", Unit: "%", Default: "50 to 70 %", From: "assumption: Facebook's caches below the browser answered 71 % of what reached them (Huang et al., SOSP 2013)", Max: 99.9},
		{Name: "zipf", Group: g, Title: "How unequal photos are: exponent of Zipf's law", Default: "0.75 to 0.92", From: "assumption: 0.64 to 0.83 on the web of 1999 (Breslau et al., INFOCOM 1999), photos on links more", Max: 0.99},
	}
}

func disks() []forecast.Input {
	const g = "Disks"
	return []forecast.Input{
		{Name: "hdd_size", Group: g, Title: "Size of a hard disk; months(...) where it changes", Unit: "TB/disk", Default: "20 TB/disk", From: "assumption: common in 2024; the largest had 24 to 32", Min: 0.1, Max: 1e4},
		{Name: "ssd_size", Group: g, Title: "Size of an SSD", Unit: "TB/ssd", Default: "7.68 TB/ssd", From: "assumption: a common size of 2024", Min: 0.1, Max: 1e4},
		{Name: "max_fill", Group: g, Title: "How full disks may be", Unit: "%", Default: "80 to 85 %", From: "assumption: stores slow down and cannot repair themselves beyond", Min: 1, Max: 100},
		{Name: "hdd_iops", Group: g, Title: "Reads that a hard disk does", Unit: "reads/s/disk", Default: "80 to 120 reads/s/disk", From: "assumption: 8 to 12 ms of seeking and turning at 7,200 a minute", Min: 0.1, Max: 1e6},
		{Name: "hdd_afr", Group: g, Title: "Hard disks that fail in a year", Unit: "%/year", Default: "1.3 to 2.3 %/year", From: "Backblaze Drive Stats: 1.57 % in 2024, quarters of 1.36 to 2.28 % in 2023 to 2025", Max: 100},
		{Name: "ssd_afr", Group: g, Title: "SSDs that fail in a year", Unit: "%/year", Default: "0.6 to 1.3 %/year", From: "Backblaze Drive Stats, SSD edition, 2023: about 1 %, of some 3,000", Max: 100},
		{Name: "spare", Group: g, Title: "Spare disks on the shelf, as a share of those in service", Unit: "%", Default: "1 %", From: "assumption: some months of failures", Max: 100},
		{Name: "disk_life", Group: g, Title: "How long disks are written off over, and then replaced", Unit: "year", Default: "5 year", From: "assumption: the usual warranty", Min: 0.5, Max: 30},
		{Name: "hdd_watts", Group: g, Title: "Power of a hard disk", Unit: "W/disk", Default: "5.5 to 9 W/disk", From: "assumption: between idle and busy in makers' sheets of 20 TB disks", Max: 1000},
		{Name: "ssd_watts", Group: g, Title: "Power of an SSD", Unit: "W/ssd", Default: "6 to 14 W/ssd", From: "assumption: between idle and busy in makers' sheets of NVMe drives", Max: 1000},
	}
}

func machines() []forecast.Input {
	const g = "Servers"
	return []forecast.Input{
		{Name: "hdd_per_server", Group: g, Title: "Hard disks in a server", Unit: "disks/server", Default: "36 disks/server", From: "assumption: a common enclosure of four units", Min: 1, Max: 1000},
		{Name: "hdd_server_height", Group: g, Title: "Height of a server for hard disks", Unit: "units/server", Default: "4 units/server", From: "assumption", Min: 0.1, Max: 100},
		{Name: "ssd_per_server", Group: g, Title: "SSDs in a server", Unit: "ssds/server", Default: "24 ssds/server", From: "assumption: a common enclosure of two units", Min: 1, Max: 1000},
		{Name: "ssd_server_height", Group: g, Title: "Height of a server for SSDs", Unit: "units/server", Default: "2 units/server", From: "assumption", Min: 0.1, Max: 100},
		{Name: "least_servers", Group: g, Title: "Servers of each kind in a region, at least", Unit: "servers/region", Default: "3 servers/region", From: "assumption: one may fail while another is mended", Max: 1000},
		{Name: "resize_cpu", Group: g, Title: "Processor time to make a photo's smaller pictures", Unit: "core*s/photo", Default: "0.2 to 0.7 core*s/photo", From: "assumption; --calibrate DIR measures it", Max: 1e4},
		{Name: "machine_factor", Group: g, Title: "Speed of the measured machine over that of a server bought", Default: "0.7 to 1.5", From: "assumption: spread among common processors", Min: 0.01, Max: 100},
		{Name: "cores", Group: g, Title: "Cores of a server for it, one unit high", Unit: "cores/server", Default: "32 cores/server", From: "assumption", Min: 1, Max: 10000},
		{Name: "cpu_fill", Group: g, Title: "How busy those cores may be in the busiest minute", Unit: "%", Default: "60 %", From: "assumption: what waits is made within minutes", Min: 1, Max: 100},
		{Name: "server_watts", Group: g, Title: "Power of a server without its disks", Unit: "W/server", Default: "200 to 400 W/server", From: "assumption", Max: 1e5},
		{Name: "server_life", Group: g, Title: "How long servers are written off over, and then replaced", Unit: "year", Default: "5 year", From: "assumption: four to six years are common", Min: 0.5, Max: 30},
	}
}

func rooms() []forecast.Input {
	const g = "Racks, power, space, lines"
	return []forecast.Input{
		{Name: "rack_height", Group: g, Title: "Units of a rack for servers", Unit: "units/rack", Default: "40 units/rack", From: "assumption: 42, less two for the network", Min: 1, Max: 100},
		{Name: "rack_power", Group: g, Title: "Power that a rack may draw", Unit: "kW/rack", Default: "8 kW/rack", From: "Uptime Institute, survey of 2024: most racks draw less than 8 kW", Min: 0.1, Max: 1000},
		{Name: "rack_life", Group: g, Title: "How long racks and network are written off over, and then replaced", Unit: "year", Default: "7 year", From: "assumption", Min: 0.5, Max: 50},
		{Name: "network_watts", Group: g, Title: "Power of a rack's network", Unit: "W/rack", Default: "250 to 450 W/rack", From: "assumption: two switches", Max: 1e5},
		{Name: "pue", Group: g, Title: "Power drawn over power used by the machines: cooling (PUE)", Default: "1.25 to 1.6", From: "Uptime Institute, survey of 2024: 1.56 on average, 1.3 in new buildings", Min: 1, Max: 5},
		{Name: "power_price", Group: g, Title: "Price of electricity", Unit: "USD/kWh", Default: "0.08 to 0.17 USD/kWh", From: "EIA Electric Power Annual 2023: 6 to 10 cents for industry in most of the USA's states, 9 to 20 for commerce", Max: 10},
		{Name: "power_trend", Group: g, Title: "Change a year of electricity's price", Unit: "%/year", Default: "-2 to 7 %/year", From: "assumption", Signed: true, Min: -90, Max: 1000},
		{Name: "rack_space", Group: g, Title: "Floor for a rack, with aisles", Unit: "m²/rack", Default: "2.3 to 3.2 m²/rack", From: "assumption: 0.6 by 1.2 m, and aisles before and behind", Max: 100},
		{Name: "floor_price", Group: g, Title: "Price of floor with its cooling and power plant", Unit: "USD/m²/month", Default: "80 to 350 USD/m²/month", From: "assumption: CBRE (second half of 2024) saw 184 USD asked for a kW of rented rooms, which at 2 kW a square metre is 368; own ones cost less", Max: 1e5},
		{Name: "line_size", Group: g, Title: "Bandwidth of an internet line", Unit: "Gbit/s/line", Default: "10 Gbit/s/line", From: "assumption", Min: 0.01, Max: 1e5},
		{Name: "line_fill", Group: g, Title: "How full lines may be in the busiest minute", Unit: "%", Default: "60 %", From: "assumption: one of two may fail", Min: 1, Max: 100},
		{Name: "least_lines", Group: g, Title: "Lines of a region, at least", Unit: "lines/region", Default: "2 lines/region", From: "assumption: one may fail", Max: 1000},
		{Name: "line_price", Group: g, Title: "Price of internet lines", Unit: "USD*s/Gbit/month", Default: "120 to 700 USD*s/Gbit/month", From: "assumption: TeleGeography (2015) had 1,000 in London and Los Angeles, falling 14 % a year, and 16 times as much in São Paulo", Max: 1e6},
	}
}

func money() []forecast.Input {
	const g = "Prices and people"
	return []forecast.Input{
		{Name: "hdd_price", Group: g, Title: "Price of hard disks", Unit: "USD/TB", Default: "14 to 28 USD/TB", From: "Backblaze (2022) paid 14 by the thousand; Computer Weekly (2024) saw 30 to 49 in shops", Max: 1e5},
		{Name: "hdd_trend", Group: g, Title: "Change a year of hard disks' price", Unit: "%/year", Default: "-12 to 6 %/year", From: "Backblaze (2022): 9 % less a year since 2017; shops of 2024 asked more again", Signed: true, Min: -90, Max: 1000},
		{Name: "ssd_price", Group: g, Title: "Price of SSDs", Unit: "USD/TB", Default: "70 to 130 USD/TB", From: "Computer Weekly (2024): 79 to 95 in shops, all kinds; those made for servers cost more", Max: 1e5},
		{Name: "ssd_trend", Group: g, Title: "Change a year of SSDs' price", Unit: "%/year", Default: "-22 to 15 %/year", From: "assumption: shops (Computer Weekly, 2023 and 2024) went from 75 to 95 USD a TB and back to 79", Signed: true, Min: -90, Max: 1000},
		{Name: "hdd_server_price", Group: g, Title: "Price of a server for hard disks, without them", Unit: "USD/server", Default: "4.5k to 9k USD/server", From: "assumption", Max: 1e7},
		{Name: "ssd_server_price", Group: g, Title: "Price of a server for SSDs, without them", Unit: "USD/server", Default: "7k to 14k USD/server", From: "assumption", Max: 1e7},
		{Name: "cpu_server_price", Group: g, Title: "Price of a server for smaller pictures", Unit: "USD/server", Default: "4k to 9k USD/server", From: "assumption", Max: 1e7},
		{Name: "rack_price", Group: g, Title: "Price of a rack with its power strips", Unit: "USD/rack", Default: "1.5k to 3.5k USD/rack", From: "assumption", Max: 1e7},
		{Name: "network_price", Group: g, Title: "Price of a rack's switches and cables, with its part of the core", Unit: "USD/rack", Default: "10k to 25k USD/rack", From: "assumption: two switches of 48 ports at 25 Gbit/s", Max: 1e7},
		{Name: "maintenance", Group: g, Title: "Upkeep of servers and network, of their price", Unit: "%/year", Default: "3 to 9 %/year", From: "assumption: parts, support", Max: 100},
		{Name: "staff_servers", Group: g, Title: "Servers that a person looks after", Unit: "servers/person", Default: "100 to 400 servers/person", From: "assumption", Min: 1, Max: 1e6},
		{Name: "least_staff", Group: g, Title: "People who run it, at least", Unit: "persons", Default: "2 to 4 persons", From: "assumption: nights and holidays", Max: 1e5},
		{Name: "salary", Group: g, Title: "Salary, with all that an employer pays", Unit: "USD/person/month", Default: "6k to 15k USD/person/month", From: "assumption: about 8,000 in median wages of the USA's administrators, and a third on top", Max: 1e6},
	}
}

func buying() []forecast.Input {
	const g = "Buying"
	return []forecast.Input{
		{Name: "installed", Group: g, Title: "Disks in service today, over what today's bytes need", Unit: "%", Default: "115 to 130 %", From: "assumption: enough until the first order arrives; your inventory knows", Max: 1000},
		{Name: "lead", Group: g, Title: "From order to service, in whole months", Unit: "month", Default: "discrete(1: 0.2, 2: 0.4, 3: 0.3, 4: 0.1) month", From: "assumption: delivery, mounting, burn-in", Max: 36},
		{Name: reserve, Group: g, Title: "Spare room by rule of thumb, above the expectation", Unit: "%", Default: "0 %", From: "20 to 30 % is the usual rule. The bands already say how far the expectation may be wrong: take this or the step from P50 to P90, never both; the scenario thumb has it", Max: 1000},
	}
}
