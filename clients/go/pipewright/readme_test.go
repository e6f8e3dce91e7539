package pipewright

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The first two blocks are the quick start, which the script `test` runs.
func TestTheCodeInTheReadmeIsInTheExamples(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	examples, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	if len(blocks) < 3 {
		t.Fatalf("%d blocks", len(blocks))
	}
	for _, block := range blocks[2:] {
		indented := "\n\t" + strings.ReplaceAll(strings.TrimSuffix(block[1], "\n"), "\n", "\n\t")
		if !strings.Contains(string(examples), indented+"\n}\n") {
			t.Errorf("not in the examples:\n%s", block[1])
		}
	}
}
