//! The protobuf messages that kubectl's own commands send: field numbers, names, and types, as the
//! Kubernetes API fixes them for good. Only data; `protobuf.rs` reads by it.
//! Holds no values and decodes nothing; a kind that is not listed here is refused as protobuf, and can still
//! be sent as JSON.

/// A field of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) number: u32,
    /// Its name in JSON.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

/// The type of a field. Fields that are no pointers in Go are always sent, so their zero means that
/// they were not given; the `Given` forms are pointers, whose zero was given.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// What a client cannot decide: status, creation time.
    Skipped,
    Text,
    Number,
    GivenNumber,
    Flag,
    GivenFlag,
    IntOrString,
    /// A message whose presence says something even if it is empty.
    Message(&'static [Field]),
    /// A message that is always sent, so that an empty one says nothing.
    Plain(&'static [Field]),
    Texts,
    Messages(&'static [Field]),
    TextMap,
    BytesMap,
    QuantityMap,
}

use Kind::{
    BytesMap, Flag, GivenFlag, GivenNumber, IntOrString, Message, Messages, Number, Plain,
    QuantityMap, Skipped, Text, TextMap, Texts,
};

const fn field(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind }
}

/// The kinds that are read: `apiVersion`, kind, fields.
pub(super) const KINDS: &[(&str, &str, &[Field])] = &[
    ("v1", "Namespace", &[META, field(2, "spec", Skipped), STATUS]),
    (
        "v1",
        "ConfigMap",
        &[
            META,
            field(2, "data", TextMap),
            field(3, "binaryData", BytesMap),
            field(4, "immutable", GivenFlag),
        ],
    ),
    (
        "v1",
        "Secret",
        &[
            META,
            field(2, "data", BytesMap),
            field(3, "type", Text),
            field(4, "stringData", TextMap),
            field(5, "immutable", GivenFlag),
        ],
    ),
    ("v1", "ServiceAccount", &[META]),
    ("v1", "Service", &[META, field(2, "spec", Plain(SERVICE_SPEC)), STATUS]),
    (
        "v1",
        "ResourceQuota",
        &[
            META,
            field(2, "spec", Plain(&[field(1, "hard", QuantityMap), field(2, "scopes", Texts)])),
            STATUS,
        ],
    ),
    ("apps/v1", "Deployment", &[META, field(2, "spec", Plain(DEPLOYMENT_SPEC)), STATUS]),
    ("batch/v1", "Job", &[META, field(2, "spec", Plain(JOB_SPEC)), STATUS]),
    ("batch/v1", "CronJob", &[META, field(2, "spec", Plain(CRON_JOB_SPEC)), STATUS]),
    (
        "policy/v1",
        "PodDisruptionBudget",
        &[
            META,
            field(
                2,
                "spec",
                Plain(&[
                    field(1, "minAvailable", IntOrString),
                    field(2, "selector", Message(SELECTOR)),
                    field(3, "maxUnavailable", IntOrString),
                ]),
            ),
            STATUS,
        ],
    ),
    (
        "scheduling.k8s.io/v1",
        "PriorityClass",
        &[
            META,
            field(2, "value", Number),
            field(3, "globalDefault", Flag),
            field(4, "description", Text),
            field(5, "preemptionPolicy", Text),
        ],
    ),
    (
        "authorization.k8s.io/v1",
        "SelfSubjectAccessReview",
        &[META, field(2, "spec", Plain(ACCESS_REVIEW_SPEC)), STATUS],
    ),
    (
        "authorization.k8s.io/v1",
        "SelfSubjectRulesReview",
        &[META, field(2, "spec", Plain(&[field(1, "namespace", Text)])), STATUS],
    ),
];

const META: Field = field(1, "metadata", Plain(OBJECT_META));

const STATUS: Field = field(3, "status", Skipped);

const OBJECT_META: &[Field] = &[
    field(1, "name", Text),
    field(2, "generateName", Text),
    field(3, "namespace", Text),
    field(4, "selfLink", Skipped),
    field(5, "uid", Text),
    field(6, "resourceVersion", Text),
    field(7, "generation", Skipped),
    field(8, "creationTimestamp", Skipped),
    field(11, "labels", TextMap),
    field(12, "annotations", TextMap),
    field(13, "ownerReferences", Messages(OWNER_REFERENCE)),
    field(14, "finalizers", Texts),
];

const OWNER_REFERENCE: &[Field] = &[
    field(1, "kind", Text),
    field(3, "name", Text),
    field(4, "uid", Text),
    field(5, "apiVersion", Text),
    field(6, "controller", GivenFlag),
    field(7, "blockOwnerDeletion", GivenFlag),
];

const SELECTOR: &[Field] = &[
    field(1, "matchLabels", TextMap),
    field(
        2,
        "matchExpressions",
        Messages(&[field(1, "key", Text), field(2, "operator", Text), field(3, "values", Texts)]),
    ),
];

const DEPLOYMENT_SPEC: &[Field] = &[
    field(1, "replicas", GivenNumber),
    field(2, "selector", Message(SELECTOR)),
    field(3, "template", Plain(TEMPLATE)),
    field(4, "strategy", Plain(&[field(1, "type", Text)])),
    field(5, "minReadySeconds", Number),
    field(6, "revisionHistoryLimit", GivenNumber),
    field(7, "paused", Flag),
    field(9, "progressDeadlineSeconds", GivenNumber),
];

const JOB_SPEC: &[Field] = &[
    field(1, "parallelism", GivenNumber),
    field(2, "completions", GivenNumber),
    field(3, "activeDeadlineSeconds", GivenNumber),
    field(4, "selector", Message(SELECTOR)),
    field(5, "manualSelector", GivenFlag),
    field(6, "template", Plain(TEMPLATE)),
    field(7, "backoffLimit", GivenNumber),
    field(8, "ttlSecondsAfterFinished", GivenNumber),
    field(9, "completionMode", Text),
    field(10, "suspend", GivenFlag),
];

const CRON_JOB_SPEC: &[Field] = &[
    field(1, "schedule", Text),
    field(2, "startingDeadlineSeconds", GivenNumber),
    field(3, "concurrencyPolicy", Text),
    field(4, "suspend", GivenFlag),
    field(5, "jobTemplate", Plain(&[META, field(2, "spec", Plain(JOB_SPEC))])),
    field(6, "successfulJobsHistoryLimit", GivenNumber),
    field(7, "failedJobsHistoryLimit", GivenNumber),
    field(8, "timeZone", Text),
];

const TEMPLATE: &[Field] = &[META, field(2, "spec", Plain(POD_SPEC))];

const POD_SPEC: &[Field] = &[
    field(2, "containers", Messages(CONTAINER)),
    field(3, "restartPolicy", Text),
    field(4, "terminationGracePeriodSeconds", GivenNumber),
    field(5, "activeDeadlineSeconds", GivenNumber),
    field(6, "dnsPolicy", Text),
    field(7, "nodeSelector", TextMap),
    field(8, "serviceAccountName", Text),
    field(9, "serviceAccount", Text),
    field(10, "nodeName", Text),
    field(11, "hostNetwork", Flag),
    field(12, "hostPID", Flag),
    field(13, "hostIPC", Flag),
    field(16, "hostname", Text),
    field(17, "subdomain", Text),
    field(19, "schedulerName", Text),
    field(24, "priorityClassName", Text),
    field(25, "priority", GivenNumber),
];

const CONTAINER: &[Field] = &[
    field(1, "name", Text),
    field(2, "image", Text),
    field(3, "command", Texts),
    field(4, "args", Texts),
    field(5, "workingDir", Text),
    field(
        6,
        "ports",
        Messages(&[
            field(1, "name", Text),
            field(2, "hostPort", Number),
            field(3, "containerPort", Number),
            field(4, "protocol", Text),
            field(5, "hostIP", Text),
        ]),
    ),
    field(7, "env", Messages(&[field(1, "name", Text), field(2, "value", Text)])),
    field(
        8,
        "resources",
        Plain(&[field(1, "limits", QuantityMap), field(2, "requests", QuantityMap)]),
    ),
    field(13, "terminationMessagePath", Text),
    field(14, "imagePullPolicy", Text),
    field(16, "stdin", Flag),
    field(17, "stdinOnce", Flag),
    field(18, "tty", Flag),
    field(20, "terminationMessagePolicy", Text),
];

const SERVICE_SPEC: &[Field] = &[
    field(
        1,
        "ports",
        Messages(&[
            field(1, "name", Text),
            field(2, "protocol", Text),
            field(3, "port", Number),
            field(4, "targetPort", IntOrString),
            field(5, "nodePort", Number),
            field(6, "appProtocol", Text),
        ]),
    ),
    field(2, "selector", TextMap),
    field(3, "clusterIP", Text),
    field(4, "type", Text),
    field(5, "externalIPs", Texts),
    field(7, "sessionAffinity", Text),
    field(8, "loadBalancerIP", Text),
    field(9, "loadBalancerSourceRanges", Texts),
    field(10, "externalName", Text),
    field(11, "externalTrafficPolicy", Text),
    field(12, "healthCheckNodePort", Number),
    field(13, "publishNotReadyAddresses", Flag),
];

const ACCESS_REVIEW_SPEC: &[Field] = &[
    field(
        1,
        "resourceAttributes",
        Message(&[
            field(1, "namespace", Text),
            field(2, "verb", Text),
            field(3, "group", Text),
            field(4, "version", Text),
            field(5, "resource", Text),
            field(6, "subresource", Text),
            field(7, "name", Text),
        ]),
    ),
    field(2, "nonResourceAttributes", Message(&[field(1, "path", Text), field(2, "verb", Text)])),
];
