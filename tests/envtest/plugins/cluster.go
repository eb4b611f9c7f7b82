package plugins

import (
	"encoding/json"
	"fmt"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	podutil "k8s.io/kubernetes/pkg/api/pod"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	"k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	corev1 "k8s.io/kubernetes/pkg/apis/core/v1"
	_ "k8s.io/kubernetes/pkg/apis/storage/install"
	"k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/apis/config/latest"
	configScheme "k8s.io/kubernetes/pkg/scheduler/apis/config/scheme"
)

// line is one question as it is read.
type line struct {
	// The pod that is judged, not yet on a node.
	Pod *v1.Pod `json:"pod"`
	// Everything else that exists, each with apiVersion and kind: nodes, pods on nodes, namespaces, volumes.
	Objects []json.RawMessage `json:"objects"`
	// A KubeSchedulerConfiguration; absent, the default one.
	Configuration json.RawMessage `json:"configuration"`
}

// cluster is one question, its objects defaulted as an API server does.
type cluster struct {
	pod        *v1.Pod
	nodes      []*v1.Node
	pods       []*v1.Pod
	nominated  []*v1.Pod
	namespaces []*v1.Namespace
	others     []runtime.Object
	profile    *config.KubeSchedulerProfile
}

// leftOut are plugins that need more of a cluster than is given here: device claims, and running pods to evict.
var leftOut = []string{"DynamicResources", "DefaultPreemption"}

func read(text []byte) (*cluster, error) {
	var asked line
	if err := json.Unmarshal(text, &asked); err != nil {
		return nil, fmt.Errorf("no cluster: %w", err)
	}
	if asked.Pod == nil {
		return nil, fmt.Errorf("no cluster: the field pod is missing")
	}
	if err := complete(asked.Pod); err != nil {
		return nil, fmt.Errorf("pod: %w", err)
	}
	profile, err := profileOf(asked.Configuration, asked.Pod.Spec.SchedulerName)
	if err != nil {
		return nil, err
	}
	read := &cluster{pod: asked.Pod, profile: profile}
	for at, raw := range asked.Objects {
		object, _, err := scheme.Codecs.UniversalDeserializer().Decode(raw, nil, nil)
		if err != nil {
			return nil, fmt.Errorf("objects[%d]: %w", at, err)
		}
		legacyscheme.Scheme.Default(object)
		if pod, ok := object.(*v1.Pod); ok {
			err = complete(pod)
		}
		if err != nil {
			return nil, fmt.Errorf("objects[%d]: %w", at, err)
		}
		read.add(object)
	}
	read.forgetUnseen()
	return read, nil
}

// complete fills in what an API server fills in when it creates the pod.
func complete(pod *v1.Pod) error {
	legacyscheme.Scheme.Default(pod)
	if pod.Spec.Resources == nil {
		return nil
	}
	// Requests of the pod as a whole: filled in last, and only in the internal form.
	internal := &core.Pod{}
	if err := corev1.Convert_v1_Pod_To_core_Pod(pod, internal, nil); err != nil {
		return err
	}
	podutil.DefaultPodLevelResources(internal)
	return corev1.Convert_core_Pod_To_v1_Pod(internal, pod, nil)
}

func (c *cluster) add(object runtime.Object) {
	switch object := object.(type) {
	case *v1.Node:
		c.nodes = append(c.nodes, object)
	case *v1.Pod:
		c.pods = append(c.pods, object)
	case *v1.Namespace:
		c.namespaces = append(c.namespaces, object)
	default:
		c.others = append(c.others, object)
	}
}

// forgetUnseen drops the pods that kube-scheduler has in no snapshot: those without a node, on a node that does
// not exist, or finished. Those that wait and are nominated for a node are set aside.
func (c *cluster) forgetUnseen() {
	exists := make(map[string]bool, len(c.nodes))
	for _, node := range c.nodes {
		exists[node.Name] = true
	}
	seen := c.pods[:0]
	for _, pod := range c.pods {
		finished := pod.Status.Phase == v1.PodSucceeded || pod.Status.Phase == v1.PodFailed
		if exists[pod.Spec.NodeName] && !finished {
			seen = append(seen, pod)
		}
		if pod.Spec.NodeName == "" && pod.Status.NominatedNodeName != "" && !finished {
			c.nominated = append(c.nominated, pod)
		}
	}
	c.pods = seen
}

// profileOf is the profile for pods of this scheduler, without the plugins that are left out. Without a
// configuration it is the default one, whatever the name.
func profileOf(configuration json.RawMessage, scheduler string) (*config.KubeSchedulerProfile, error) {
	read, err := configurationOf(configuration)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	for at := range read.Profiles {
		profile := &read.Profiles[at]
		if len(configuration) == 0 || profile.SchedulerName == scheduler {
			for _, set := range pointsOf(profile.Plugins) {
				set.Enabled = without(set.Enabled, leftOut)
			}
			return profile, nil
		}
	}
	return nil, fmt.Errorf("configuration: no profile for the scheduler %q", scheduler)
}

func configurationOf(text json.RawMessage) (*config.KubeSchedulerConfiguration, error) {
	if len(text) == 0 {
		return latest.Default()
	}
	object, _, err := configScheme.Codecs.UniversalDecoder().Decode(text, nil, nil)
	if err != nil {
		return nil, err
	}
	read, ok := object.(*config.KubeSchedulerConfiguration)
	if !ok {
		return nil, fmt.Errorf("not a KubeSchedulerConfiguration but %T", object)
	}
	return read, nil
}

func pointsOf(plugins *config.Plugins) []*config.PluginSet {
	return []*config.PluginSet{
		&plugins.MultiPoint, &plugins.PreEnqueue, &plugins.PreFilter, &plugins.Filter, &plugins.PostFilter,
		&plugins.PreScore, &plugins.Score, &plugins.Reserve, &plugins.Permit, &plugins.PreBind, &plugins.PostBind,
	}
}

func without(enabled []config.Plugin, names []string) []config.Plugin {
	kept := make([]config.Plugin, 0, len(enabled))
	for _, plugin := range enabled {
		drop := false
		for _, name := range names {
			drop = drop || plugin.Name == name
		}
		if !drop {
			kept = append(kept, plugin)
		}
	}
	return kept
}
