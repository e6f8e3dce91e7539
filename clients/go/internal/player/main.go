// Player runs the conformance scenario with this client: see clients/conformance/README.md.
package main

import (
	"encoding/json"
	"errors"
	"io"
	"log"
	"os"
)

func main() {
	player := &player{out: json.NewEncoder(os.Stdout)}
	lines := json.NewDecoder(os.Stdin)
	for {
		var line line
		err := lines.Decode(&line)
		if errors.Is(err, io.EOF) {
			return
		}
		if err == nil {
			err = player.play(&line)
		}
		if err != nil {
			log.Fatal(err)
		}
	}
}
