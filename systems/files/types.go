package files

import (
	"bytes"
	"path"
	"strings"
	"unicode/utf8"
)

// types are content types by the name's ending. A table of our own: those of the
// machine differ from one to the next.
var types = map[string]string{
	".txt": "text/plain", ".log": "text/plain", ".md": "text/markdown", ".csv": "text/csv", ".tsv": "text/tab-separated-values",
	".html": "text/html", ".htm": "text/html", ".xhtml": "application/xhtml+xml", ".xml": "application/xml", ".css": "text/css", ".js": "text/javascript", ".mjs": "text/javascript",
	".json": "application/json", ".yaml": "application/yaml", ".yml": "application/yaml", ".toml": "application/toml",
	".go": "text/plain", ".py": "text/plain", ".rs": "text/plain", ".c": "text/plain", ".h": "text/plain", ".java": "text/plain", ".sh": "text/plain", ".sql": "text/plain",
	".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp", ".avif": "image/avif", ".svg": "image/svg+xml",
	".bmp": "image/bmp", ".ico": "image/x-icon", ".tif": "image/tiff", ".tiff": "image/tiff", ".heic": "image/heic",
	".mp3": "audio/mpeg", ".m4a": "audio/mp4", ".aac": "audio/aac", ".ogg": "audio/ogg", ".oga": "audio/ogg", ".opus": "audio/ogg", ".wav": "audio/wav", ".flac": "audio/flac",
	".mp4": "video/mp4", ".m4v": "video/mp4", ".webm": "video/webm", ".ogv": "video/ogg", ".mov": "video/quicktime", ".mkv": "video/x-matroska", ".avi": "video/x-msvideo",
	".pdf": "application/pdf", ".epub": "application/epub+zip", ".zip": "application/zip", ".gz": "application/gzip", ".tgz": "application/gzip", ".tar": "application/x-tar",
	".7z": "application/x-7z-compressed", ".xz": "application/x-xz", ".zst": "application/zstd", ".bz2": "application/x-bzip2", ".wasm": "application/wasm",
	".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document", ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation", ".odt": "application/vnd.oasis.opendocument.text", ".ods": "application/vnd.oasis.opendocument.spreadsheet",
}

// magic are the first bytes of what has no telling name (WHATWG MIME Sniffing, 6).
var magic = []struct {
	at    int
	bytes string
	kind  string
}{
	{0, "\x89PNG\r\n\x1a\n", "image/png"}, {0, "\xff\xd8\xff", "image/jpeg"}, {0, "GIF8", "image/gif"}, {8, "WEBP", "image/webp"},
	{0, "%PDF-", "application/pdf"}, {0, "PK\x03\x04", "application/zip"}, {0, "\x1f\x8b", "application/gzip"}, {4, "ftyp", "video/mp4"},
	{0, "OggS", "audio/ogg"}, {0, "fLaC", "audio/flac"}, {0, "ID3", "audio/mpeg"}, {0, "\x1aE\xdf\xa3", "video/webm"},
}

// typeOf tells a type by the name's ending, else by the first bytes. What is not known
// is text where it reads as UTF-8, and else application/octet-stream.
func typeOf(name string, head []byte) string {
	if kind := types[strings.ToLower(path.Ext(name))]; kind != "" {
		return kind
	}
	for _, m := range magic {
		if len(head) >= m.at+len(m.bytes) && string(head[m.at:m.at+len(m.bytes)]) == m.bytes {
			return m.kind
		}
	}
	if len(head) > 0 && bytes.IndexByte(head, 0) < 0 && utf8.Valid(trimRune(head)) {
		return "text/plain"
	}
	return "application/octet-stream"
}

// trimRune drops a rune that is cut at the end.
func trimRune(b []byte) []byte {
	for i := 1; i <= utf8.UTFMax && i <= len(b); i++ {
		if c := b[len(b)-i]; utf8.RuneStart(c) {
			if !utf8.FullRune(b[len(b)-i:]) {
				return b[:len(b)-i]
			}
			break
		}
	}
	return b
}

// isType says whether kind is type/subtype of RFC 6838's letters.
func isType(kind string) bool {
	main, sub, ok := strings.Cut(kind, "/")
	if !ok || main == "" || sub == "" || len(kind) > 127 {
		return false
	}
	return strings.Trim(main+sub, "abcdefghijklmnopqrstuvwxyz0123456789!#$&-^_.+") == ""
}

// inline are the types that a browser may show at this address: those that hold no
// script, or are shown by something that runs none.
var inline = map[string]bool{
	"text/plain": true, "text/csv": true, "text/markdown": true, "application/json": true, "application/pdf": true,
	"image/png": true, "image/jpeg": true, "image/gif": true, "image/webp": true, "image/avif": true, "image/bmp": true, "image/x-icon": true,
	"audio/mpeg": true, "audio/mp4": true, "audio/aac": true, "audio/ogg": true, "audio/wav": true, "audio/flac": true,
	"video/mp4": true, "video/webm": true, "video/ogg": true, "video/quicktime": true,
}
