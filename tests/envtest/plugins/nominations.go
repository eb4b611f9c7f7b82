package plugins

import (
	v1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
)

// nominator knows the pods that wait and are expected on a node. It never changes.
type nominator map[string][]fwk.PodInfo

func nominations(pods []*v1.Pod) nominator {
	byNode := nominator{}
	for _, pod := range pods {
		// An error is about terms that do not parse, which no API server lets in; the rest of the pod counts.
		info, _ := framework.NewPodInfo(pod)
		node := pod.Status.NominatedNodeName
		byNode[node] = append(byNode[node], info)
	}
	return byNode
}

func (n nominator) AddNominatedPod(klog.Logger, fwk.PodInfo, *fwk.NominatingInfo) {}

func (n nominator) DeleteNominatedPodIfExists(*v1.Pod) {}

func (n nominator) UpdateNominatedPod(klog.Logger, *v1.Pod, fwk.PodInfo) {}

func (n nominator) NominatedPodsForNode(node string) []fwk.PodInfo { return n[node] }
