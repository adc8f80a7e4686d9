package prove

import (
	"errors"
	"testing"

	"plumb/systems/photos/internal/painted"
)

// The three ways make the same sizes, near enough; a photo that is none fails in each.
func TestEachWayMakesAllSizes(t *testing.T) {
	photo := painted.JPEG(painted.Landscape(1, 2400, 1600), painted.Facts{})
	for name, way := range map[string]func([]byte) (int, error){"for each": forEach, "once": decodedOnce, "as served": asServed} {
		n, err := way(photo)
		if err != nil || n < 50_000 || n > 2_000_000 {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
		if _, err := way([]byte("no photo")); err == nil {
			t.Errorf("%s makes sizes of what is no photo", name)
		}
	}
	calls := 0
	_, size, err := resizing{1, 1, 5}.measure(t.Context(), nil, func([]byte) (int, error) { calls++; return 7, nil })
	if err != nil || size != 7 || calls != 5 {
		t.Errorf("%d runs, %d bytes, %v", calls, size, err)
	}
	if _, _, err := (resizing{1, 1, 5}).measure(t.Context(), nil, func([]byte) (int, error) { return 0, errors.New("sick") }); err == nil {
		t.Error("a fault is not told")
	}
}
