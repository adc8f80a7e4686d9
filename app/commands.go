package app

import "plumb/console"

// commandList is what the command line knows, for search and for answers.yaml.
func commandList() []console.Command {
	list := []console.Command{
		{Use: "plumb answer", Short: "List the sixteen questions, or tell the whole story of one"},
		{Use: "plumb prove", Short: "Run designs side by side and judge the claims"},
		{Use: "plumb plan", Short: "Size a system over the coming months, as ranges"},
		{Use: "plumb plan init", Short: "Print a commented plan file"},
		{Use: "plumb serve", Short: "Run the named systems"},
		{Use: "plumb check", Short: "List the house and find faults"},
		{Use: "plumb version", Short: "Print the version"},
	}
	for _, c := range roomCommands() {
		cmd := c.New()
		list = append(list, console.Command{Use: "plumb " + c.System + " " + cmd.Name(), Short: cmd.Short})
	}
	return list
}
