package picture_test

import (
	"bytes"
	"fmt"

	"plumb/engines/picture"
	"plumb/engines/picture/exif"
	"plumb/engines/picture/picturetest"
)

func Example() {
	photo := picturetest.JPEG(picturetest.Scene(1200, 800, 1), 85)
	photo = picturetest.WithEXIF(photo, exif.Fields{Orientation: 6, Model: "P 1", HasGPS: true, Lat: 47.4, Lon: 8.5})
	file, size := bytes.NewReader(photo), int64(len(photo))

	info, err := picture.Probe(file, size)
	fmt.Println(info.Type, info.Width, info.Height, info.Model, info.HasGPS, err)

	var shared bytes.Buffer
	err = picture.Strip(&shared, file, size, picture.Keep{Camera: true})
	info, _ = picture.Probe(bytes.NewReader(shared.Bytes()), int64(shared.Len()))
	fmt.Println(info.Width, info.Height, info.Model, info.HasGPS, err)

	_, err = picture.Resize(file, size, []picture.Size{{Name: "large", Edge: 900}, {Name: "small", Edge: 300}}, picture.Limits{},
		func(s picture.Size, p picture.Resized) error {
			fmt.Println(s.Name, p.Type, p.Width, p.Height)
			return nil
		})
	fmt.Println(err)

	_, err = picture.Probe(file, size-100)
	fmt.Println(err != nil)
	// Output:
	// image/jpeg 800 1200 P 1 true <nil>
	// 800 1200 P 1 false <nil>
	// large image/jpeg 600 900
	// small image/jpeg 200 300
	// <nil>
	// true
}
