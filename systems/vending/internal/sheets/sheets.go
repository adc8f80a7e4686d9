// Package sheets writes a night's routes in the forms that other programs read:
// CSV for a spreadsheet, GeoJSON (RFC 7946) for a map.
//
//	err := sheets.CSV(w, rows)
//	err := sheets.GeoJSON(w, depot, routes)
package sheets

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Row is one slot to fill, or one stop where nothing is filled.
type Row struct {
	Team      string
	Vehicle   int
	Trip      int
	Stop      int
	Arrive    string // local time
	Machine   string
	Lat, Lon  *float64
	Slot, SKU string
	Items     int64
	Faults    string
	Why       string
}

var head = []string{"team", "vehicle", "trip", "stop", "arrive", "machine", "lat", "lon", "slot", "sku", "items", "faults", "why"}

// CSV writes the rows under a heading (RFC 4180).
func CSV(w io.Writer, rows []Row) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	if err := out.Write(head); err != nil {
		return fmt.Errorf("write the routes as CSV: %w", err)
	}
	for _, r := range rows {
		err := out.Write([]string{r.Team, strconv.Itoa(r.Vehicle), strconv.Itoa(r.Trip), strconv.Itoa(r.Stop), r.Arrive, text(r.Machine), degrees(r.Lat), degrees(r.Lon),
			text(r.Slot), text(r.SKU), strconv.FormatInt(r.Items, 10), text(r.Faults), text(r.Why)})
		if err != nil {
			return fmt.Errorf("write the routes as CSV: %w", err)
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("write the routes as CSV: %w", err)
	}
	return nil
}

// text keeps a spreadsheet from taking what a machine said for a formula.
func text(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

func degrees(v *float64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'f', 6, 64)
}

// Place is a position in degrees.
type Place struct{ Lat, Lon float64 }

// Route is a vehicle's trip, from the depot and back.
type Route struct {
	Team    string
	Vehicle int
	Trip    int
	Metres  float64
	Stops   []Stop
}

// Stop is one machine of a route.
type Stop struct {
	Machine string
	Place   Place
	Arrive  string // RFC 3339
	Items   int64
	Why     []string
}

type feature struct {
	Type       string         `json:"type"`
	Geometry   geometry       `json:"geometry"`
	Properties map[string]any `json:"properties"`
}

type geometry struct {
	Type        string `json:"type"`
	Coordinates any    `json:"coordinates"`
}

// GeoJSON writes a collection with the depot, a line for each route and a point
// for each stop. Positions are longitude before latitude, as the standard has it.
func GeoJSON(w io.Writer, depot Place, routes []Route) error {
	at := func(p Place) [2]float64 { return [2]float64{p.Lon, p.Lat} }
	list := []feature{{"Feature", geometry{"Point", at(depot)}, map[string]any{"kind": "depot"}}}
	for _, r := range routes {
		line := [][2]float64{at(depot)}
		for i, s := range r.Stops {
			line = append(line, at(s.Place))
			list = append(list, feature{"Feature", geometry{"Point", at(s.Place)}, map[string]any{
				"kind": "stop", "team": r.Team, "vehicle": r.Vehicle, "trip": r.Trip, "stop": i + 1, "machine": s.Machine, "arrive_at": s.Arrive, "items": s.Items, "why": s.Why}})
		}
		list = append(list, feature{"Feature", geometry{"LineString", append(line, at(depot))}, map[string]any{
			"kind": "route", "team": r.Team, "vehicle": r.Vehicle, "trip": r.Trip, "metres": r.Metres, "stops": len(r.Stops)}})
	}
	err := json.NewEncoder(w).Encode(map[string]any{"type": "FeatureCollection", "features": list})
	if err != nil {
		return fmt.Errorf("write the routes as GeoJSON: %w", err)
	}
	return nil
}
