// Command kstatus computes the status of Kubernetes objects by sigs.k8s.io/cli-utils, as Flux and Helm 4 do.
//
//	kstatus < objects.json    (a JSON array; prints an array of {"status": …, "message": …})
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

type result struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	var objects []json.RawMessage
	if err := json.NewDecoder(os.Stdin).Decode(&objects); err != nil {
		return err
	}
	results := []result{}
	for _, raw := range objects {
		object := &unstructured.Unstructured{}
		// With integers as int64, as a Kubernetes client reads them.
		if err := object.UnmarshalJSON(raw); err != nil {
			return err
		}
		computed, err := status.Compute(object)
		if err != nil {
			return err
		}
		results = append(results, result{Status: computed.Status.String(), Message: computed.Message})
	}
	return json.NewEncoder(os.Stdout).Encode(results)
}
