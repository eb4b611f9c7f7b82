//! What `kubectl explain` says of built-in types and fields, in our own words: short, and only where a
//! name does not say it. Only texts; which types and fields there are is told by the types themselves.
//! Invariant: a text about a field of one type goes before one about fields of that name anywhere.

/// What a type is; empty where its name says it.
pub(super) fn of_type(of: &str) -> &'static str {
    found(TYPES, of)
}

/// What a field of a type means; empty where its name says it.
pub(super) fn of_field(of: &str, field: &str) -> &'static str {
    let own = FIELDS.iter().find(|(of_type, name, _)| (*of_type, *name) == (of, field));
    own.map_or_else(|| found(COMMON, field), |(_, _, text)| text)
}

fn found(table: &'static [(&str, &'static str)], name: &str) -> &'static str {
    table.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text)
}

const TYPES: &[(&str, &str)] = &[
    ("Pod", "A group of containers that run together on one node."),
    ("PodSpec", "What a pod wants: its containers and where they may run."),
    ("PodStatus", "What became of a pod, as its node and its scheduler report it."),
    ("Container", "One container of a pod."),
    ("ResourceRequirements", "How much of each resource is promised and allowed."),
    ("Node", "A machine that runs pods."),
    ("NodeSpec", "What administrators decided about a node."),
    ("NodeStatus", "What a node offers and how it is."),
    ("Namespace", "A space of names that keeps objects of different people apart."),
    ("Event", "A report of something that happened to an object; kept for a while."),
    (
        "Deployment",
        "Keeps a number of equal pods and replaces them step by step when its template changes.",
    ),
    ("ReplicaSet", "Keeps a number of equal pods."),
    ("StatefulSet", "Keeps pods with lasting names, one after another."),
    ("DaemonSet", "Keeps one pod on each node."),
    ("Job", "Runs pods until enough of them have succeeded."),
    ("PodGroup", "Pods that are useful only together and are scheduled together."),
    ("PodGroupSpec", "How many pods of a group must be placed, and how."),
    ("PriorityClass", "A name for a priority; pods of higher priority go first."),
    ("Lease", "A lock with a time limit, by which instances agree on a leader."),
    ("PodDisruptionBudget", "How many pods of a kind may be missing at a time."),
    (
        "CustomResourceDefinition",
        "A kind of object that the API serves because somebody defined it.",
    ),
    ("ObjectMeta", "What every object has: its name, labels, and owners."),
    ("OwnerReference", "An object that this one belongs to and goes with."),
    ("LabelSelector", "Which objects are meant, by their labels."),
    ("Toleration", "A taint that the pod puts up with."),
    ("Taint", "A mark on a node that keeps pods away which do not tolerate it."),
    ("Affinity", "Where a pod would rather or must run, by nodes and by other pods."),
];

/// Fields that mean the same wherever they are.
const COMMON: &[(&str, &str)] = &[
    ("apiVersion", "Group and version of the object's form."),
    ("kind", "The kind of the object."),
    ("metadata", "Name, labels, owners, and what the server keeps about the object."),
    ("spec", "What is wished for."),
    ("status", "What is, as controllers report it; written through the status subresource."),
    ("conditions", "Single findings, each with a type, a status, and a reason."),
    ("replicas", "How many pods."),
    ("template", "What the pods look like."),
    ("selector", "Which pods are meant, by their labels."),
    ("observedGeneration", "The generation of the object that this was written about."),
];

const FIELDS: &[(&str, &str, &str)] = &[
    ("ObjectMeta", "name", "Unique within the namespace and kind; cannot be changed."),
    ("ObjectMeta", "generateName", "A prefix; the server adds a suffix that makes a name."),
    ("ObjectMeta", "namespace", "The namespace that the object lives in."),
    ("ObjectMeta", "labels", "Names and values by which objects are selected."),
    (
        "ObjectMeta",
        "annotations",
        "Names and values for tools and people; nothing is selected by them.",
    ),
    (
        "ObjectMeta",
        "uid",
        "Tells this object from all others of the same name before and after it.",
    ),
    (
        "ObjectMeta",
        "resourceVersion",
        "Moves with every change; an update that names an old one is refused.",
    ),
    ("ObjectMeta", "generation", "Counts changes of what is wished for."),
    ("ObjectMeta", "creationTimestamp", "When the object was created."),
    (
        "ObjectMeta",
        "deletionTimestamp",
        "When the object is to be gone; set once its deletion was asked for.",
    ),
    ("ObjectMeta", "finalizers", "What must be done before the object may go."),
    (
        "ObjectMeta",
        "ownerReferences",
        "The objects that this one belongs to; it goes when all of them are gone.",
    ),
    ("ObjectMeta", "managedFields", "Who set which fields last."),
    ("PodSpec", "containers", "The containers; at least one."),
    ("PodSpec", "initContainers", "Containers that run before the others, one after another."),
    ("PodSpec", "nodeName", "The node that the pod runs on; set by a scheduler."),
    ("PodSpec", "nodeSelector", "Labels that the node must have."),
    ("PodSpec", "affinity", "Where the pod would rather or must run."),
    ("PodSpec", "tolerations", "Taints of nodes that the pod puts up with."),
    ("PodSpec", "schedulerName", "Which scheduler places the pod."),
    ("PodSpec", "schedulingGates", "Reasons not to place the pod yet."),
    ("PodSpec", "schedulingGroup", "The group that the pod is scheduled with."),
    ("PodSpec", "priorityClassName", "The priority class; decides who goes first."),
    ("PodSpec", "priority", "The priority that the class stands for; set by the server."),
    (
        "PodSpec",
        "preemptionPolicy",
        "Whether the pod may take the place of pods of lower priority.",
    ),
    (
        "PodSpec",
        "restartPolicy",
        "Whether containers that end are started again: Always, OnFailure, or Never.",
    ),
    ("PodSpec", "terminationGracePeriodSeconds", "How long the pod may take to end, in seconds."),
    (
        "PodSpec",
        "topologySpreadConstraints",
        "How evenly equal pods are to be spread over domains.",
    ),
    ("PodSpec", "overhead", "What running the pod costs beside its containers."),
    ("PodStatus", "phase", "Pending, Running, Succeeded, Failed, or Unknown."),
    ("PodStatus", "nominatedNodeName", "The node on which room is being made for the pod."),
    ("PodStatus", "qosClass", "Guaranteed, Burstable, or BestEffort, from requests and limits."),
    ("Container", "name", "Unique within the pod."),
    ("Container", "image", "The image that is run."),
    ("Container", "resources", "How much of each resource the container asks for and may use."),
    ("ResourceRequirements", "requests", "What is promised; the scheduler counts it."),
    ("ResourceRequirements", "limits", "What may be used at most; devices are asked for here."),
    ("NodeSpec", "taints", "Marks that keep pods away which do not tolerate them."),
    ("NodeSpec", "unschedulable", "True while no new pods shall come."),
    ("NodeStatus", "capacity", "What the machine has."),
    ("NodeStatus", "allocatable", "What pods can have of it."),
    ("PodGroupSpec", "schedulingPolicy", "gang: placed together or not at all; basic: one by one."),
    ("GangSchedulingPolicy", "minCount", "How many pods must be placed together."),
    ("JobSpec", "parallelism", "How many pods run at a time."),
    ("JobSpec", "completions", "How many pods must succeed."),
    ("JobSpec", "backoffLimit", "How many failures are borne before the job fails."),
    ("PriorityClass", "value", "The priority; higher goes first."),
    ("PriorityClass", "globalDefault", "True for the class of pods that name none."),
    ("LeaseSpec", "holderIdentity", "Who holds the lease."),
    ("LeaseSpec", "leaseDurationSeconds", "How long others wait after the last renewal."),
    ("LeaseSpec", "renewTime", "When the holder renewed it last."),
];
