package jpeg

const (
	fastBits = 11
	skipBits = 13
)

// huffman decodes one table's codes.
//
// An entry of fast is symbol<<8 | length for each index that begins with a code; 0 for
// longer ones and for none. An entry of skip covers as many whole codes with the
// bits that follow them as fit: bits | coefficients<<4 | ends<<11; 0 when none fits.
type huffman struct {
	fast    [1 << fastBits]uint16
	skip    *[1 << skipBits]uint16 // tables for AC coefficients, made when it is needed
	maxCode [18]int32              // the largest code of a length, shifted to 16 bits, plus 1
	offset  [17]int32              // what makes a code of a length an index of values
	values  [256]uint8
}

// newHuffman builds a table of T.81's counts and values. It is false when the codes
// do not fit in their lengths.
func newHuffman(counts *[16]uint8, values []byte) (*huffman, bool) {
	h := &huffman{}
	copy(h.values[:], values)
	code, index := int32(0), int32(0)
	for l := 1; l <= 16; l++ {
		n := int32(counts[l-1])
		h.offset[l] = index - code
		if code+n > 1<<l {
			return nil, false
		}
		if l <= fastBits {
			for i := range n {
				entry := uint16(values[index+i])<<8 | uint16(l)
				first := (code + i) << (fastBits - l)
				for j := range int32(1) << (fastBits - l) {
					h.fast[first+j] = entry
				}
			}
		}
		code += n
		index += n
		h.maxCode[l] = code << (16 - l)
		code <<= 1
	}
	h.maxCode[17] = 1 << 30
	return h, true
}

// long decodes a code that is not in fast: its symbol and length; length 0 for none.
func (h *huffman) long(acc uint64) (symbol uint8, length int) {
	top := int32(acc >> 48)
	for l := 1; l <= 16; l++ {
		if top < h.maxCode[l] {
			return h.values[(top>>(16-l)+h.offset[l])&255], l
		}
	}
	return 0, 0
}

// skipTable has an entry for every index, see huffman.
func (h *huffman) skipTable() *[1 << skipBits]uint16 {
	if h.skip != nil {
		return h.skip
	}
	h.skip = new([1 << skipBits]uint16)
	for i := range h.skip {
		acc, used, coefs, ends := uint64(i)<<(64-skipBits), 0, 0, 0
		for ends == 0 {
			symbol, length := h.long(acc)
			size := int(symbol & 15)
			if length == 0 || used+length+size > skipBits {
				break
			}
			run := int(symbol >> 4)
			if size == 0 && run < 15 {
				ends = 1 << 11
			} else if coefs+run+1 > 63 {
				break
			} else {
				coefs += run + 1
			}
			used += length + size
			acc <<= uint(length + size)
		}
		h.skip[i] = uint16(used | coefs<<4 | ends)
	}
	return h.skip
}

// symbol decodes one code; false when there is none.
func (b *reader) symbol(h *huffman) (uint8, bool) {
	if b.n < 16 {
		b.fill()
	}
	if e := h.fast[b.acc>>(64-fastBits)]; e != 0 {
		b.acc <<= e & 31
		b.n -= int(e & 31)
		return uint8(e >> 8), true
	}
	s, l := h.long(b.acc)
	b.acc <<= uint(l) & 63
	b.n -= l
	return s, l != 0
}
