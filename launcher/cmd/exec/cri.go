//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	answerWithin = 15 * time.Second
	// defaultContainer is the annotation that kubectl exec uses as well.
	defaultContainer = "kubectl.kubernetes.io/default-container"
)

// criRuntime is containerd or CRI-O, by the API that the kubelet uses.
type criRuntime struct {
	path       string
	connection *grpc.ClientConn
	client     cri.RuntimeServiceClient
}

func openCRI(ctx context.Context, path string) (*criRuntime, error) {
	if !exists(path) {
		return nil, fmt.Errorf("%s is not there", path)
	}
	dial := func(ctx context.Context, _ string) (net.Conn, error) { return dialUnix(ctx, path) }
	connection, err := grpc.NewClient("passthrough:///runtime", grpc.WithContextDialer(dial),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(16<<20)))
	if err != nil {
		return nil, err
	}
	r := &criRuntime{path, connection, cri.NewRuntimeServiceClient(connection)}
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	if _, err := r.client.Version(ctx, &cri.VersionRequest{}); err != nil {
		r.close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

func (r *criRuntime) close()         { _ = r.connection.Close() }
func (r *criRuntime) socket() string { return r.path }

// hasPods is also true if the runtime does not answer.
func (r *criRuntime) hasPods(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	pods, err := r.client.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{})
	return err != nil || len(pods.Items) > 0
}

// find returns one container of each Pod of the namespace that has the labels: the one that the request names, or the default.
func (r *criRuntime) find(ctx context.Context, asked *request) ([]container, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	pods, err := r.client.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{})
	if err != nil {
		return nil, err
	}
	var found []container
	for _, pod := range pods.Items {
		if pod.Metadata.GetNamespace() != asked.Namespace || !asked.Selector.matches(pod.Labels) {
			continue
		}
		listed, err := r.client.ListContainers(ctx, &cri.ListContainersRequest{Filter: &cri.ContainerFilter{PodSandboxId: pod.Id}})
		if err != nil {
			return nil, err
		}
		one, err := ofPod(pod, listed.Containers, asked.Name)
		if err != nil {
			return nil, err
		}
		if one != nil {
			found = append(found, container{
				id: one.Id, name: pod.Metadata.GetName() + "/" + one.Metadata.GetName(), created: pod.CreatedAt,
				isRunning: one.State == cri.ContainerState_CONTAINER_RUNNING,
			})
		}
	}
	return found, nil
}

// ofPod returns the container with that name, else the Pod's default, else the only one that runs. Several with one name are restarts
// of one container: it returns the one that runs, else the latest. A runtime does not say which container the Pod's spec names first.
func ofPod(pod *cri.PodSandbox, containers []*cri.Container, name string) (*cri.Container, error) {
	if name == "" {
		name = pod.Annotations[defaultContainer]
	}
	var best *cri.Container
	var running []string
	for _, each := range containers {
		if name != "" && each.Metadata.GetName() != name {
			continue
		}
		if isRunning(each) {
			running = append(running, each.Metadata.GetName())
		}
		if best == nil || isBetter(each, best) {
			best = each
		}
	}
	slices.Sort(running)
	if running = slices.Compact(running); len(running) > 1 {
		return nil, failed(containerAmbiguous, "Pod %s runs the containers %s: say in container.name which one is meant",
			pod.Metadata.GetName(), strings.Join(running, ", "))
	}
	return best, nil
}

func isRunning(c *cri.Container) bool { return c.State == cri.ContainerState_CONTAINER_RUNNING }

func isBetter(a, b *cri.Container) bool {
	if isRunning(a) != isRunning(b) {
		return isRunning(a)
	}
	return a.CreatedAt > b.CreatedAt
}

func (r *criRuntime) initPid(ctx context.Context, id string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	answer, err := r.client.ContainerStatus(ctx, &cri.ContainerStatusRequest{ContainerId: id, Verbose: true})
	if err != nil {
		return 0, failed(containerGone, "container %s: %v", id, err)
	}
	if answer.Status.State != cri.ContainerState_CONTAINER_RUNNING {
		return 0, failed(containerNotRunning, "container %s is not running", answer.Status.Metadata.GetName())
	}
	// containerd and CRI-O both put the pid there. The API has no field for it.
	var info struct {
		Pid int `json:"pid"`
	}
	if err := json.Unmarshal([]byte(answer.Info["info"]), &info); err != nil || info.Pid == 0 {
		return 0, failed(notConfinable, "the runtime does not report the pid of the container's first process")
	}
	return info.Pid, nil
}

func (r *criRuntime) exec(ctx context.Context, id string, argv []string, tty bool) (session, error) {
	asked, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	answer, err := r.client.Exec(asked, &cri.ExecRequest{
		ContainerId: id, Cmd: argv, Tty: tty, Stdin: true, Stdout: true, Stderr: !tty,
	})
	if err != nil {
		return nil, err
	}
	return openStreams(ctx, answer.Url, tty)
}
