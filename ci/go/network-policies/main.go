// Enforces NetworkPolicies on the node that it runs on, in the filter table of iptables: kube-router's controller for them,
// without its router and its proxy.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/cloudnativelabs/kube-router/v2/pkg/controllers/netpol"
	"github.com/cloudnativelabs/kube-router/v2/pkg/healthcheck"
	"github.com/cloudnativelabs/kube-router/v2/pkg/options"
	"github.com/cloudnativelabs/kube-router/v2/pkg/utils"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const (
	// Changes are written as they come; this often also what another program has changed in the node's tables.
	rewriteEvery = time.Minute
	lookEvery    = time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run returns when the context ends; what it has written stays in force.
func run(ctx context.Context) error {
	access, err := rest.InClusterConfig()
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(access)
	if err != nil {
		return err
	}
	if err := waitForAddress(ctx, client); err != nil {
		return err
	}

	known := informers.NewSharedInformerFactory(client, 0)
	pods := known.Core().V1().Pods().Informer()
	namespaces := known.Core().V1().Namespaces().Informer()
	policies := known.Networking().V1().NetworkPolicies().Informer()
	known.Start(ctx.Done())
	known.WaitForCacheSync(ctx.Done())

	config := options.NewKubeRouterConfig()
	config.EnableIPv4 = true
	config.IPTablesSyncPeriod = rewriteEvery
	tables, sets, err := netpol.NewIPTablesHandlers(config)
	if err != nil {
		return err
	}
	controller, err := netpol.NewNetworkPolicyController(
		client, config, pods, policies, namespaces, &sync.Mutex{}, tables, sets)
	if err != nil {
		return err
	}
	// Nobody asks for the errors of these: they tell of informers that have stopped.
	_, _ = pods.AddEventHandler(controller.PodEventHandler)
	_, _ = namespaces.AddEventHandler(controller.NamespaceEventHandler)
	_, _ = policies.AddEventHandler(controller.NetworkPolicyEventHandler)

	beats := make(chan *healthcheck.ControllerHeartbeat)
	go func() {
		for range beats { // it waits for who listens
		}
	}()
	var running sync.WaitGroup
	running.Add(1)
	controller.Run(beats, ctx.Done(), &running)
	running.Wait()
	return nil
}

// waitForAddress returns when Kubernetes knows the node by an address that it has. Pods are the node's own by that
// address, which the controller reads once, and a restarted node may have another than before.
func waitForAddress(ctx context.Context, client kubernetes.Interface) error {
	for {
		known, err := isKnown(client)
		if known {
			return nil
		}
		fmt.Fprintln(os.Stderr, "Kubernetes does not know the node by its address yet:", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lookEvery):
		}
	}
}

func isKnown(client kubernetes.Interface) (bool, error) {
	node, err := utils.GetNodeObject(client, "")
	if err != nil {
		return false, err
	}
	address, err := utils.GetPrimaryNodeIP(node)
	if err != nil {
		return false, err
	}
	own, err := net.InterfaceAddrs()
	for _, one := range own {
		if found, ok := one.(*net.IPNet); ok && found.IP.Equal(address) {
			return true, nil
		}
	}
	return false, err
}
