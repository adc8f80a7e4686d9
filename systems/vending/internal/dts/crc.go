package dts

// The checksum of G85: CRC-16 with the reflected polynomial 0xA001 and the
// initial value 0 (CRC-16/ARC), over the lines from ST up to G85 with their ends
// as CR LF, whatever they were.
var table = func() (t [256]uint16) {
	for i := range t {
		c := uint16(i)
		for range 8 {
			if c&1 != 0 {
				c = c>>1 ^ 0xA001
			} else {
				c >>= 1
			}
		}
		t[i] = c
	}
	return t
}()

var crlf = []byte("\r\n")

func crc(sum uint16, b []byte) uint16 {
	for _, c := range b {
		sum = sum>>8 ^ table[byte(sum)^c]
	}
	return sum
}

// Seal returns the G85 line for lines of a set, from ST on; for machines that are
// simulated, and for tests.
func Seal(set []byte) string {
	sum := uint16(0)
	lines := split(set)
	if n := len(lines) - 1; len(lines[n]) == 0 {
		lines = lines[:n] // the end of the last line begins no other
	}
	for _, line := range lines {
		sum = crc(crc(sum, line), crlf)
	}
	const hex = "0123456789ABCDEF"
	return "G85*" + string([]byte{hex[sum>>12], hex[sum>>8&15], hex[sum>>4&15], hex[sum&15]})
}
