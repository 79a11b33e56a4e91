// Decodes every object of the Kubernetes manifests given as arguments strictly into its type in
// k8s.io/api or in the Prometheus Operator's API. Unknown kinds, and fields that are unknown or
// given twice, are errors.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/yaml"
)

func newDecoder() (runtime.Decoder, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, autoscalingv2.AddToScheme, corev1.AddToScheme,
		networkingv1.AddToScheme, policyv1.AddToScheme, monitoringv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	options := json.SerializerOptions{Yaml: true, Strict: true}
	return json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, options), nil
}

// Returns the number of objects in the file, and the errors of those that do not decode.
func checkFile(decoder runtime.Decoder, path string) (int, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	reader := yaml.NewYAMLReader(bufio.NewReader(file))
	var problems error
	for count := 0; ; count++ {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return count, problems
		}
		if err != nil {
			return count, errors.Join(problems, err)
		}
		object, kind, err := decoder.Decode(document, nil, nil)
		if err != nil {
			problems = errors.Join(problems, fmt.Errorf("%s: object %d: %w", path, count+1, err))
			continue
		}
		named, ok := object.(metav1.Object)
		if !ok || named.GetName() == "" {
			problems = errors.Join(problems, fmt.Errorf("%s: %s without a name", path, kind.Kind))
			continue
		}
		fmt.Printf("%s: %s %s/%s ok\n", path, kind.GroupVersion(), kind.Kind, named.GetName())
	}
}

func main() {
	decoder, err := newDecoder()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	failed := len(os.Args) < 2
	if failed {
		fmt.Fprintln(os.Stderr, "usage: kubernetes MANIFEST ...")
	}
	for _, path := range os.Args[1:] {
		count, err := checkFile(decoder, path)
		if err == nil && count == 0 {
			err = fmt.Errorf("%s holds no object", path)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}
