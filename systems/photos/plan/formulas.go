package plan

import "plumb/engines/forecast"

const sum, last, peak, mean = forecast.Sum, forecast.Last, forecast.Peak, forecast.Mean

// uploadFormulas count people, and what they upload in a month.
func uploadFormulas() []forecast.Formula {
	return []forecast.Formula{
		{Name: "grown", Is: "prev(grown, 1) * when(month > 1, max(1 + growth - churn, 0), 1)", Note: "compounds along the path"},
		{Name: "people", Title: "Users", Unit: "users", Is: "users * grown", Show: true, Total: last},
		{Name: "engagement_step", Is: `pow(1 + engagement * q("1 year"), 1.0/12)`},
		{Name: "engaged", Is: "prev(engaged, 1 / engagement_step) * engagement_step"},
		{Name: "uploaders", Unit: "users", Is: "people * active"},
		{Name: "uploaded_photos", Title: "Photos uploaded", Unit: "photos/month", Is: "uploaders * photos_per_user * season * engaged", Show: true, Total: sum},

		// The mix is in parts: whatever they add up to is the whole.
		{Name: "mix", Is: `max(mix_jpeg + mix_heic + mix_png + mix_raw + mix_other, q("0.0001 %"))`},
		{Name: "size_today", Unit: "MB/photo", Is: "(mix_jpeg*size_jpeg + mix_heic*size_heic + mix_png*size_png + mix_raw*size_raw + mix_other*size_other) / mix"},
		{Name: "resolution_step", Is: `pow(1 + resolution * q("1 year"), 1.0/12)`},
		{Name: "finer", Is: "prev(finer, 1 / resolution_step) * resolution_step"},
		{Name: "photo_size", Title: "Size of an uploaded photo", Unit: "MB/photo", Is: "size_today * finer", Show: true, Total: mean},
		{Name: "uploaded_bytes", Title: "Bytes of photos uploaded", Unit: "TB/month", Is: "uploaded_photos * photo_size", Show: true, Total: sum},
		{Name: "videos_a_month", Unit: "TB/month", Is: "uploaders * videos_per_user * season * engaged * video_size", Note: "once there are videos"},
		{Name: "uploaded_videos", Title: "Bytes of videos uploaded", Unit: "TB/month", Is: "when(month >= video_from, videos_a_month, 0)", Show: true, Total: sum},
	}
}

// byteFormulas follow what is kept. Of what stood at the end of a month, the share
// lost is gone a month later; survival is their product. So what is left of the
// uploads of month u is new(u) * survival(t) / survival(u), and all that is there is
// survival(t) times the sum of new / survival, over the months that the rule keeps.
func byteFormulas() []forecast.Formula {
	return []forecast.Formula{
		{Name: "lost", Is: `min(removed * q("1 month") + churn * leavers_removed, 1)`},
		{Name: "survival", Is: "max(prev(survival, 1) * (1 - lost), 0.000000001)"},
		{Name: "keep_months", Unit: "month", Is: "keep"},
		{Name: "start_left", Is: `max(min((keep - month * q("1 month")) / min(keep, history), 1), 0)`, Note: "today's photos came evenly over the service's time"},
		{Name: "start_photos", Unit: "photos", Is: "users * photos_now"},
		{Name: "photos", Title: "Photos kept", Unit: "photos", Is: `survival * (start_photos * start_left + recent(uploaded_photos * (1 - edited) * q("1 month") / survival, keep_months))`, Show: true, Total: last},
		{Name: "photo_bytes", Unit: "TB", Is: `survival * (start_photos * size_now * start_left + recent(uploaded_bytes * (1 - edited) * q("1 month") / survival, keep_months))`},
		{Name: "video_bytes", Unit: "TB", Is: `survival * recent(uploaded_videos * q("1 month") / survival, keep_months)`},
		{Name: "version_bytes", Unit: "TB", Is: `recent(uploaded_bytes * edited * q("1 month"), versions_kept)`},
		{Name: "bin_months", Unit: "month", Is: "bin_kept"},
		{Name: "bin_bytes", Unit: "TB", Is: "recent(prev(live_bytes, start_photos * size_now) * lost, bin_months)"},
		{Name: "live_bytes", Unit: "TB", Is: "photo_bytes + video_bytes"},
		{Name: "logical_bytes", Title: "Bytes as users see them", Unit: "TB", Is: "live_bytes + version_bytes + bin_bytes", Show: true, Total: last},

		// What is stored of it, one copy.
		{Name: "kept_share", Is: "(1 - duplicates) * (1 - compression) * (1 + store_overhead)"},
		{Name: "stored_photos", Title: "Stored: originals", Unit: "TB", Is: "photo_bytes * kept_share", Show: true, Total: last},
		{Name: "stored_versions", Title: "Stored: earlier versions, bin", Unit: "TB", Is: "(version_bytes + bin_bytes) * kept_share", Show: true, Total: last},
		{Name: "stored_videos", Title: "Stored: videos", Unit: "TB", Is: "video_bytes * kept_share", Show: true, Total: last},
		{Name: "stored_thumbnails", Title: "Stored: smaller pictures", Unit: "TB", Is: "photos * thumbnail_bytes", Show: true, Total: last},
		{Name: "stored_metadata", Title: "Stored: database and search index", Unit: "TB", Is: "photos * (metadata_bytes + index_bytes)", Show: true, Total: last},
		{Name: "blob_bytes", Unit: "TB", Is: "stored_photos + stored_versions + stored_videos + stored_thumbnails"},
		{Name: "stored_bytes", Title: "Stored, one copy of each", Unit: "TB", Is: "blob_bytes + stored_metadata", Show: true, Total: last},
	}
}

// placeFormulas say where the copies stand.
func placeFormulas() []forecast.Formula {
	return []forecast.Formula{
		{Name: "hot_bytes", Unit: "TB", Is: "(stored_photos + stored_versions + stored_videos) * hot + stored_thumbnails * hot_thumbnails", Note: "one copy of these is on SSD; they are never coded"},
		{Name: "coded_bytes", Unit: "TB", Is: "(blob_bytes - hot_bytes) * coded * (ec_data + ec_parity) / ec_data"},
		{Name: "first_site_bytes", Title: "Hard disks, first site", Unit: "TB", Is: "(blob_bytes - hot_bytes) * (1 - coded) * copies + coded_bytes + hot_bytes * (copies - 1)", Show: true, Total: last},
		{Name: "second_site_bytes", Title: "Hard disks, second site", Unit: "TB", Is: "blob_bytes * second_site * second_copies", Show: true, Total: last},
		{Name: "backup_bytes", Title: "Hard disks, backups", Unit: "TB", Is: "stored_bytes * backup", Show: true, Total: last},
		{Name: "hdd_bytes", Unit: "TB", Is: "first_site_bytes + second_site_bytes + backup_bytes"},

		// Zipf's law gives the r-th photo a share of r^-s; the sum to n is close to the
		// integral from 1/2 to n + 1/2. The cache that answers the share h holds the
		// first c photos, where that sum is h of all. It knows what will be asked for:
		// one that learns (LRU) needs more, and photos of the day change it.
		{Name: "zipf_power", Is: "1 - zipf"},
		{Name: "zipf_begin", Is: "pow(0.5, zipf_power)"},
		{Name: "cached_share", Is: `pow(hit_rate * (pow(photos / q("1 photo") + 0.5, zipf_power) - zipf_begin) + zipf_begin, 1 / zipf_power) - 0.5`},
		{Name: "cache_bytes", Title: "Cache for the hit rate", Unit: "TB", Is: `when(photos * hit_rate > 0, max(cached_share, 0) * view_bytes * q("1 view"), 0)`, Note: "Breslau et al., INFOCOM 1999", Show: true, Total: last},
		{Name: "ssd_bytes", Title: "SSD: hot copies, database, cache", Unit: "TB", Is: "hot_bytes + stored_metadata * metadata_copies + cache_bytes", Show: true, Total: last},
		{Name: "copied_bytes", Title: "On disks, all copies", Unit: "TB", Is: "hdd_bytes + ssd_bytes", Show: true, Total: last},
		{Name: "raw_bytes", Title: "Raw disk space needed for it", Unit: "TB", Is: "copied_bytes * (1 + buffer) / max_fill", Show: true, Total: last},
	}
}

// readFormulas are the traffic.
func readFormulas() []forecast.Formula {
	return []forecast.Formula{
		{Name: "seen", Unit: "views/month", Is: "people * views * engaged"},
		{Name: "egress", Title: "Bytes sent to viewers", Unit: "TB/month", Is: `seen * (view_bytes + downloads * photo_size * q("1 photo/view"))`, Show: true, Total: sum},
		{Name: "site_traffic", Title: "Bytes copied to the second site", Unit: "TB/month", Is: "(uploaded_bytes + uploaded_videos) * kept_share * second_site", Show: true, Total: sum},
		{Name: "peak_out", Title: "Bandwidth out, busiest minute", Unit: "Gbit/s", Is: "(egress + site_traffic) * peak", Show: true, Total: peak},
		{Name: "lines", Title: "Internet lines", Unit: "lines", Is: "when(people > 0, max(ceil(peak_out / (line_size * line_fill)), regions * least_lines), 0)", Show: true, Total: last},
		{Name: "disk_reads", Unit: "reads/s", Is: `seen * (1 - hit_rate) * peak * q("1 read/view")`, Note: "what the cache leaves; all of it on hard disks, to be safe"},
		{Name: "rebuild_traffic", Title: "Read to rebuild failed disks", Unit: "TB/month", Is: "(hdd_bytes + coded_bytes * (ec_data - 1)) * hdd_afr + (hot_bytes + stored_metadata * metadata_copies) * ssd_afr",
			Note: "a lost copy is read once, a lost piece of coded data takes k others", Show: true, Total: sum},
	}
}
