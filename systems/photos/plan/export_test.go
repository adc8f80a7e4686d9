package plan

// Sizes are for the test that holds them to the room's.
var Sizes = sizes
