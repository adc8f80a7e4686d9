package web

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"plumb/base/errs"
)

// deepest is how far arrays and objects may nest.
const deepest = 64

// Decode reads the request's body as exactly one JSON value into into, which is
// a pointer. Names must match case and all; unknown and repeated names, invalid
// UTF-8, text after the value, more than limit bytes (0: 1 MiB) and nesting
// beyond 64 are refused. The error is TooLarge, or Invalid with the place: line
// and column where the text is no JSON (400), the field's path where it is not
// the JSON that was asked for (422). Values are never quoted: one may be a secret.
func Decode(w http.ResponseWriter, r *http.Request, limit int64, into any) error {
	if limit <= 0 {
		limit = usual
	}
	body, err := io.ReadAll(http.MaxBytesReader(bare(w), r.Body, limit))
	if err != nil {
		return bodyErr(err, "the body")
	}
	return DecodeBytes(body, into)
}

// DecodeBytes is Decode for a body that was read before, or one line of it.
func DecodeBytes(body []byte, into any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return Malformed(errs.New(errs.Invalid, "the body is empty; JSON is needed"))
	}
	if at := tooDeep(body); at >= 0 {
		return fault(body, int64(at), fmt.Sprintf("nests deeper than %d levels", deepest))
	}
	err := json.Unmarshal(body, into, json.RejectUnknownMembers(true))
	if err == nil {
		return nil
	}
	if syn, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fault(body, syn.ByteOffset, syntax(syn))
	}
	if sem, ok := errors.AsType[*json.SemanticError](err); ok {
		where, what := Path(string(sem.JSONPointer)), "is not of the right type"
		switch {
		case errors.Is(sem.Err, json.ErrUnknownName):
			what = "is not a known field"
		case sem.JSONKind == '0' && sem.GoType != nil:
			what = "must be " + typeName(sem.GoType.String()) + " within its range"
		case sem.JSONKind != 0 && sem.GoType != nil:
			what = fmt.Sprintf("is %s where %s is needed", kindName(sem.JSONKind), typeName(sem.GoType.String()))
		}
		if where == "" {
			where = "body"
		}
		return errs.WithDetails(fmt.Sprintf("%s %s", where, what), []errs.Detail{{Where: where, What: what}})
	}
	return errs.Wrap(errs.Invalid, err, "the body is not the JSON that is needed")
}

// tooDeep returns the offset at which body nests too deep, or -1. It does not
// check syntax; it runs first so that the decoder's own recursion is bounded.
func tooDeep(body []byte) int {
	depth, quoted := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > deepest {
				return i
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return -1
}

// fault is a Malformed error at a byte of body.
func fault(body []byte, offset int64, what string) error {
	before := body[:min(max(offset, 0), int64(len(body)))]
	line := bytes.Count(before, []byte{'\n'}) + 1
	col := len(before) - (bytes.LastIndexByte(before, '\n') + 1) + 1
	where := fmt.Sprintf("line %d, column %d", line, col)
	return Malformed(errs.WithDetails(fmt.Sprintf("the body is not valid JSON: %s: %s", where, what), []errs.Detail{{Where: where, What: what}}))
}

// syntax says what is wrong in words that quote at most the decoder's own.
func syntax(e *jsontext.SyntacticError) string {
	switch {
	case errors.Is(e.Err, jsontext.ErrDuplicateName):
		return fmt.Sprintf("the name %s stands twice", strconv.Quote(valid(e.JSONPointer.LastToken())))
	case errors.Is(e.Err, io.ErrUnexpectedEOF) || errors.Is(e.Err, io.EOF):
		return "it ends too early"
	case e.Err != nil:
		return valid(e.Err.Error())
	}
	return "it is malformed"
}

// Path writes a JSON pointer (RFC 6901) as people write it: "/slots/3/sku"
// becomes "slots[3].sku".
func Path(pointer string) string {
	var b strings.Builder
	for tok := range jsontext.Pointer(pointer).Tokens() {
		if n, err := strconv.Atoi(tok); err == nil && n >= 0 && strconv.Itoa(n) == tok {
			fmt.Fprintf(&b, "[%d]", n)
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(valid(tok))
	}
	return b.String()
}

func kindName(k jsontext.Kind) string {
	switch k {
	case 'n':
		return "null"
	case 't', 'f':
		return "true or false"
	case '"':
		return "a text"
	case '0':
		return "a number"
	case '{':
		return "an object"
	}
	return "a list"
}

// typeName says in words what a Go type takes in JSON.
func typeName(t string) string {
	switch t = strings.TrimLeft(t, "*"); {
	case strings.HasPrefix(t, "int"):
		return "a whole number"
	case strings.HasPrefix(t, "uint"):
		return "a whole number of at least 0"
	case strings.HasPrefix(t, "float"):
		return "a number"
	case t == "bool":
		return "true or false"
	case t == "string":
		return "a text"
	case t == "time.Time":
		return "a time such as 2026-11-22T21:40:00Z"
	case strings.HasPrefix(t, "[]"):
		return "a list"
	}
	return "an object"
}
