// Loads the compose files given as arguments as Docker does, each with all its profiles. Files with
// a comma between them are loaded together, and later ones override earlier ones. Errors are
// unknown fields, warnings, and missing services and volumes. Missing build contexts, Dockerfiles,
// targets of Dockerfiles and mounted files are errors, too.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/sirupsen/logrus"
)

// The loader logs problems but does not return them.
type warnings struct{ problems []error }

func (w *warnings) Levels() []logrus.Level {
	return []logrus.Level{logrus.WarnLevel, logrus.ErrorLevel}
}

func (w *warnings) Fire(entry *logrus.Entry) error {
	w.problems = append(w.problems, errors.New(entry.Message))
	return nil
}

func checkBuild(build *types.BuildConfig) error {
	path := build.Dockerfile
	if !filepath.IsAbs(path) {
		path = filepath.Join(build.Context, path)
	}
	// If the context does not exist, reading the Dockerfile fails, too.
	dockerfile, err := os.ReadFile(path)
	if err != nil || build.Target == "" {
		return err
	}
	stage := regexp.MustCompile(`(?im)^FROM\s.*\sAS\s+` + regexp.QuoteMeta(build.Target) + `\s*$`)
	if !stage.Match(dockerfile) {
		return fmt.Errorf("%s has no target %s", path, build.Target)
	}
	return nil
}

func checkService(service types.ServiceConfig) error {
	var problems error
	if service.Build != nil {
		problems = checkBuild(service.Build)
	}
	for _, volume := range service.Volumes {
		if volume.Type == types.VolumeTypeBind {
			_, err := os.Stat(volume.Source)
			problems = errors.Join(problems, err)
		}
	}
	if problems != nil {
		return fmt.Errorf("service %s: %w", service.Name, problems)
	}
	return nil
}

func checkFile(path string) error {
	logged := &warnings{}
	logrus.StandardLogger().ReplaceHooks(make(logrus.LevelHooks))
	logrus.AddHook(logged)
	options, err := cli.NewProjectOptions(strings.Split(path, ","), cli.WithProfiles([]string{"*"}),
		cli.WithResolvedPaths(true))
	if err != nil {
		return err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return err
	}
	problems := errors.Join(logged.problems...)
	for _, name := range project.ServiceNames() {
		err := checkService(project.Services[name])
		if err == nil {
			fmt.Printf("%s: service %s ok\n", path, name)
		}
		problems = errors.Join(problems, err)
	}
	return problems
}

func main() {
	failed := len(os.Args) < 2
	if failed {
		fmt.Fprintln(os.Stderr, "usage: compose FILE ...")
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
