package plugins

import (
	"context"
	"fmt"
	"sort"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/backend/cache"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	inTree "k8s.io/kubernetes/pkg/scheduler/framework/plugins"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/nodevolumelimits"
	frameworkRuntime "k8s.io/kubernetes/pkg/scheduler/framework/runtime"
)

// Answer is what kube-scheduler says of one pod.
type Answer struct {
	// Why there is no answer; the other fields are empty then.
	Error string `json:"error,omitempty"`
	// The first plugin that does not let the pod into the queue.
	PreEnqueue *Verdict `json:"preEnqueue,omitempty"`
	// The plugin that rejects the pod before any node is looked at.
	PreFilter *Verdict `json:"preFilter,omitempty"`
	// By node: the first plugin that rejects the pod there. Nodes without an entry are feasible.
	Rejected map[string]Verdict `json:"rejected,omitempty"`
	// By feasible node.
	Scores map[string]Score `json:"scores,omitempty"`
	// Of the condition PodScheduled, where no node is feasible; without what preemption adds.
	Message string `json:"message,omitempty"`
}

// Verdict is a status that is not success.
type Verdict struct {
	// Empty where the framework itself rejects a node that no plugin was asked about.
	Plugin  string   `json:"plugin"`
	Code    string   `json:"code"`
	Reasons []string `json:"reasons"`
}

// Score is how good a node is.
type Score struct {
	Total int64 `json:"total"`
	// By plugin: normalised and weighted.
	Plugins map[string]int64 `json:"plugins"`
}

func verdict(status *fwk.Status) *Verdict {
	return &Verdict{Plugin: status.Plugin(), Code: status.Code().String(), Reasons: status.Reasons()}
}

// world is a framework with one cluster in it.
type world struct {
	framework framework.Framework
	snapshot  *cache.Snapshot
	pod       *v1.Pod
}

func (c *cluster) judge() (Answer, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	judge, err := c.build(ctx)
	if err != nil {
		return Answer{}, err
	}
	answer := Answer{Rejected: map[string]Verdict{}}
	for _, plugin := range judge.framework.PreEnqueuePlugins() {
		if status := plugin.PreEnqueue(ctx, c.pod); !status.IsSuccess() {
			status.SetPlugin(plugin.Name())
			answer.PreEnqueue = verdict(status)
			break
		}
	}
	err = judge.filter(ctx, &answer)
	return answer, err
}

func (c *cluster) build(ctx context.Context) (*world, error) {
	client := fake.NewSimpleClientset(c.listed()...)
	factory := informers.NewSharedInformerFactory(client, 0)
	snapshot := cache.NewSnapshot(c.pods, c.nodes)
	built, err := frameworkRuntime.NewFramework(ctx, inTree.NewInTreeRegistry(), c.profile,
		frameworkRuntime.WithClientSet(client),
		frameworkRuntime.WithInformerFactory(factory),
		frameworkRuntime.WithSnapshotSharedLister(snapshot),
		frameworkRuntime.WithMutableSnapshotLister(snapshot),
		frameworkRuntime.WithSharedDRAManager(noClaims{}),
		frameworkRuntime.WithSharedCSIManager(
			nodevolumelimits.NewCSIManager(factory.Storage().V1().CSINodes().Lister())),
		frameworkRuntime.WithPodNominator(nominations(c.nominated)),
		frameworkRuntime.WithWaitingPods(frameworkRuntime.NewWaitingPodsMap()),
		frameworkRuntime.WithPodsInPreBind(frameworkRuntime.NewPodsInPreBindMap()),
	)
	if err != nil {
		return nil, fmt.Errorf("no framework: %w", err)
	}
	// Starting the informers costs more than all plugins together: it is for objects whose changes plugins follow.
	namespaces := factory.Core().V1().Namespaces().Informer().GetIndexer()
	for _, namespace := range c.namespaces {
		if err := namespaces.Add(namespace); err != nil {
			return nil, err
		}
	}
	if len(c.others) > 0 {
		factory.Start(ctx.Done())
		factory.WaitForCacheSync(ctx.Done())
	}
	return &world{framework: built, snapshot: snapshot, pod: c.pod}, nil
}

// listed is what informers find where they run: they would empty what was put in beside them.
func (c *cluster) listed() []runtime.Object {
	if len(c.others) == 0 {
		return nil
	}
	listed := append([]runtime.Object{}, c.others...)
	for _, namespace := range c.namespaces {
		listed = append(listed, namespace)
	}
	return listed
}

// filter does what kube-scheduler does to find the nodes for a pod, on all nodes.
func (w *world) filter(ctx context.Context, answer *Answer) error {
	nodes, err := w.snapshot.NodeInfos().List()
	if err != nil {
		return err
	}
	if len(nodes) == 0 {
		answer.Message = "no nodes available to schedule pods"
		return nil
	}
	sort.Slice(nodes, func(a, b int) bool { return nodes[a].Node().Name < nodes[b].Node().Name })
	state := framework.NewCycleState()
	diagnosis := framework.Diagnosis{NodeToStatus: framework.NewDefaultNodeToStatus()}
	narrowed, status, narrowing := w.framework.RunPreFilterPlugins(ctx, state, w.pod)
	if !status.IsSuccess() {
		if !status.IsRejected() {
			return fmt.Errorf("PreFilter: %w", status.AsError())
		}
		answer.PreFilter = verdict(status)
		diagnosis.PreFilterMsg = status.Message()
		diagnosis.NodeToStatus.SetAbsentNodesStatus(status)
		for _, node := range nodes {
			answer.Rejected[node.Node().Name] = *verdict(status)
		}
		answer.Message = w.message(len(nodes), diagnosis)
		return nil
	}
	var feasible []fwk.NodeInfo
	for _, node := range nodes {
		name := node.Node().Name
		if !narrowed.AllNodes() && !narrowed.NodeNames.Has(name) {
			status = fwk.NewStatus(fwk.UnschedulableAndUnresolvable,
				fmt.Sprintf("node(s) didn't satisfy plugin(s) %v", sets.List(narrowing)))
		} else {
			status = w.framework.RunFilterPluginsWithNominatedPods(ctx, state, w.pod, node)
		}
		if status.IsSuccess() {
			feasible = append(feasible, node)
			continue
		}
		if !status.IsRejected() {
			return fmt.Errorf("Filter on node %s: %w", name, status.AsError())
		}
		diagnosis.NodeToStatus.Set(name, status)
		answer.Rejected[name] = *verdict(status)
	}
	if len(feasible) == 0 {
		answer.Message = w.message(len(nodes), diagnosis)
		return nil
	}
	return w.score(ctx, state, feasible, answer)
}

func (w *world) message(nodes int, diagnosis framework.Diagnosis) string {
	failure := framework.FitError{Pod: w.pod, NumAllNodes: nodes, Diagnosis: diagnosis}
	return failure.Error()
}

func (w *world) score(ctx context.Context, state fwk.CycleState, feasible []fwk.NodeInfo, answer *Answer) error {
	if status := w.framework.RunPreScorePlugins(ctx, state, w.pod, feasible); !status.IsSuccess() {
		return fmt.Errorf("PreScore: %w", status.AsError())
	}
	scores, status := w.framework.RunScorePlugins(ctx, state, w.pod, feasible)
	if !status.IsSuccess() {
		return fmt.Errorf("Score: %w", status.AsError())
	}
	answer.Scores = make(map[string]Score, len(scores))
	for _, node := range scores {
		score := Score{Total: node.TotalScore, Plugins: make(map[string]int64, len(node.Scores))}
		for _, plugin := range node.Scores {
			score.Plugins[plugin.Name] = plugin.Score
		}
		answer.Scores[node.Name] = score
	}
	return nil
}
