package dts

import "strings"

// faults says what the beginnings of event codes mean for whoever is sent out
// (EVA-DTS 6.1.2, events by the part that they are about). The longest that fits
// counts, so that a part's jams stand out from its other events.
var faults = map[string]string{
	"EAA": "coin_jam", "EAD": "coin_jam", "EAE": "coin_jam", "EAF": "coin_jam", "EAG": "coin_jam", // coins: chute, validator, separator, dispenser, changer
	"ENC": "coin_jam", "END": "coin_jam", // notes: validator, stacker
	"EJ": "stuck_item", "ELA": "stuck_item", // dispensing snacks, cans, bottles
	"EJH": "temperature", "EJI": "temperature", "EJJ": "temperature", "EJK": "temperature", "EO": "temperature", "EC1C": "temperature",
	"EGC": "door_open", "EGS": "door_open", "OBB": "door_open",
	"EK": "card_reader",
	"E":  "other", "OB": "other",
	// No faults: the door was closed, and what people did or asked for.
	"EGT": "", "OA": "", "OC": "", "OD": "", "OE": "", "OF": "",
}

// Fault returns the room's word for the event's code: coin_jam, stuck_item,
// door_open, temperature, card_reader or other; "" for what is no fault.
func (e Event) Fault() string {
	code, _, _ := strings.Cut(e.Code, "_") // makers name the selection behind it
	// Behind two letters, V to Y are notes of a visit: modified, no fault found,
	// brought about by the client or by the service.
	if len(code) == 3 && code[2] >= 'V' && code[2] <= 'Y' {
		return ""
	}
	for n := min(len(code), 4); n > 0; n-- {
		if word, ok := faults[code[:n]]; ok {
			return word
		}
	}
	return "other"
}

// Selection is the product that the code of a jam names, "12" in "EJL_12"; "": none.
func (e Event) Selection() string {
	if !strings.HasPrefix(e.Code, "EJ") {
		return "" // other parts count their own
	}
	_, selection, _ := strings.Cut(e.Code, "_")
	return selection
}
