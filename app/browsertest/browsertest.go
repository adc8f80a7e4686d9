// Package browsertest looks at every page of a running Plumb in Chromium, as a
// reader would: at a desk and on a phone, light and dark, by keyboard, without
// scripts, in another time zone. Its tests build the program, start it with the
// demonstration, and drive a browser without a window.
//
//	go test ./app/browsertest
//
// A machine without Chromium skips them, unless CI is set.
package browsertest
