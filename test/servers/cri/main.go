// What a kubelet asks of a runtime, for tests: `cri SOCKET version - | run POD-JSON | create JSON | stop ID | remove ID | remove-pod ID`.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

type pod struct {
	Name, Namespace, CgroupParent string
	Labels, Annotations           map[string]string
}

type container struct {
	Pod         string
	Of          pod
	Name, Image string
	Argv        []string
	Memory      int64
	User        int64
}

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(socket, verb, argument string) error {
	connection, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return act(ctx, cri.NewRuntimeServiceClient(connection), verb, argument)
}

func act(ctx context.Context, runtime cri.RuntimeServiceClient, verb, argument string) (err error) {
	switch verb {
	case "version":
		_, err = runtime.Version(ctx, &cri.VersionRequest{})
	case "run":
		return runPod(ctx, runtime, argument)
	case "create":
		return create(ctx, runtime, argument)
	case "stop":
		_, err = runtime.StopContainer(ctx, &cri.StopContainerRequest{ContainerId: argument})
	case "remove":
		_, err = runtime.RemoveContainer(ctx, &cri.RemoveContainerRequest{ContainerId: argument})
	case "remove-pod":
		_, stopErr := runtime.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: argument})
		_, err = runtime.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: argument})
		err = errors.Join(stopErr, err)
	default:
		err = errors.New("no such verb: " + verb)
	}
	return err
}

func runPod(ctx context.Context, runtime cri.RuntimeServiceClient, argument string) error {
	var asked pod
	if err := json.Unmarshal([]byte(argument), &asked); err != nil {
		return err
	}
	answer, err := runtime.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: asked.config()})
	if err == nil {
		fmt.Println(answer.PodSandboxId)
	}
	return err
}

func (p *pod) config() *cri.PodSandboxConfig {
	return &cri.PodSandboxConfig{
		Metadata: &cri.PodSandboxMetadata{Name: p.Name, Namespace: p.Namespace, Uid: p.Namespace + "-" + p.Name},
		Labels:   p.Labels, Annotations: p.Annotations, LogDirectory: os.TempDir(),
		Linux: &cri.LinuxPodSandboxConfig{CgroupParent: p.CgroupParent, SecurityContext: &cri.LinuxSandboxSecurityContext{
			NamespaceOptions: namespaces(),
		}},
	}
}

func namespaces() *cri.NamespaceOption {
	return &cri.NamespaceOption{Network: cri.NamespaceMode_NODE, Pid: cri.NamespaceMode_CONTAINER}
}

func create(ctx context.Context, runtime cri.RuntimeServiceClient, argument string) error {
	var asked container
	if err := json.Unmarshal([]byte(argument), &asked); err != nil {
		return err
	}
	made, err := runtime.CreateContainer(ctx, &cri.CreateContainerRequest{
		PodSandboxId: asked.Pod, SandboxConfig: asked.Of.config(),
		Config: &cri.ContainerConfig{
			Metadata: &cri.ContainerMetadata{Name: asked.Name}, Image: &cri.ImageSpec{Image: asked.Image}, Command: asked.Argv,
			Linux: &cri.LinuxContainerConfig{
				Resources: &cri.LinuxContainerResources{MemoryLimitInBytes: asked.Memory},
				SecurityContext: &cri.LinuxContainerSecurityContext{
					NamespaceOptions: namespaces(), RunAsUser: &cri.Int64Value{Value: asked.User},
				},
			},
		},
	})
	if err != nil {
		return err
	}
	fmt.Println(made.ContainerId)
	_, err = runtime.StartContainer(ctx, &cri.StartContainerRequest{ContainerId: made.ContainerId})
	return err
}
