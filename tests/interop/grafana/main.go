// Decodes the Grafana dashboards given as arguments strictly into the types of Grafana's own SDK.
// Unknown fields, unknown types of panels, values of the wrong type and missing fields are errors.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// A panel may lack options, because Grafana fills in its defaults.
func hasDefault(problem *cog.BuildError) bool {
	return strings.Contains(problem.Path, ".options.") &&
		problem.Message == "required field is missing from input"
}

func checkFile(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var decoding cog.BuildErrors
	err = new(dashboard.Dashboard).UnmarshalJSONStrict(text)
	if err != nil && !errors.As(err, &decoding) {
		return err
	}
	var problems error
	for _, problem := range decoding {
		if !hasDefault(problem) {
			problems = errors.Join(problems, problem)
		}
	}
	// The strict decoder drops a panel with a problem. This decoder keeps all panels, so that their
	// types are checked.
	board := dashboard.Dashboard{}
	problems = errors.Join(problems, json.Unmarshal(text, &board))
	panels := 0
	for _, item := range board.Panels {
		if item.Panel == nil {
			continue
		}
		panels++
		// Options of an unknown type are not checked by the decoder.
		if _, known := cog.ConfigForPanelcfgVariant(item.Panel.Type); !known {
			problems = errors.Join(problems, fmt.Errorf("there is no panel type %s", item.Panel.Type))
		}
	}
	if panels == 0 {
		problems = errors.Join(problems, errors.New("it has no panel"))
	}
	if problems == nil {
		fmt.Printf("%s: %d panels ok\n", path, panels)
	}
	return problems
}

func main() {
	plugins.RegisterDefaultPlugins()
	failed := len(os.Args) < 2
	if failed {
		fmt.Fprintln(os.Stderr, "usage: grafana DASHBOARD ...")
	}
	for _, path := range os.Args[1:] {
		if err := checkFile(path); err != nil {
			fmt.Fprintf(os.Stderr, "error: %s: %v\n", path, err)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}
