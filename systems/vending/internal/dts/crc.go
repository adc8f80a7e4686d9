package dts

// The checksum of G85: CRC-16 with the reflected polynomial 0xA001 and the
// initial value 0 (CRC-16/ARC), over the lines from ST up to G85 with their ends
// as CR LF, whatever they were.
// Four bytes at a time ("slicing", Kounavis and Berry 2005): table n advances by n
// zero bytes more.
var tables = func() (t [4][256]uint16) {
	for i := range 256 {
		c := uint16(i)
		for range 8 {
			if c&1 != 0 {
				c = c>>1 ^ 0xA001
			} else {
				c >>= 1
			}
		}
		t[0][i] = c
	}
	for n := 1; n < 4; n++ {
		for i := range 256 {
			c := t[n-1][i]
			t[n][i] = c>>8 ^ t[0][byte(c)]
		}
	}
	return t
}()

var crlf = []byte("\r\n")

func crc(sum uint16, b []byte) uint16 {
	for len(b) >= 4 {
		sum ^= uint16(b[0]) | uint16(b[1])<<8
		sum = tables[3][byte(sum)] ^ tables[2][sum>>8] ^ tables[1][b[2]] ^ tables[0][b[3]]
		b = b[4:]
	}
	for _, c := range b {
		sum = sum>>8 ^ tables[0][byte(sum)^c]
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
