//! kube-scheduler's configuration: what of it is taken in, what is named in a warning, what is refused.

use super::super::Resolved;
use super::super::read;
use crate::base::names::ObjectName;
use crate::base::time::Span;

const HEAD: &str = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n";

fn accepted(rest: &str) -> Resolved {
    read(&format!("{HEAD}{rest}")).unwrap_or_else(|error| panic!("{rest}: {error}"))
}

fn warnings(rest: &str) -> Vec<String> {
    accepted(rest).warnings
}

#[test]
fn a_file_as_kubeadm_ships_it_is_accepted_and_nothing_of_it_is_lost() {
    let resolved = accepted(
        "clientConnection: {kubeconfig: /etc/kubernetes/scheduler.conf}\n\
         leaderElection: {leaderElect: true, leaseDuration: 20s, renewDeadline: 12s, retryPeriod: 3s, \
         resourceNamespace: kube-system, resourceName: kube-scheduler, resourceLock: leases}\n\
         podInitialBackoffSeconds: 2\npodMaxBackoffSeconds: 20\nparallelism: 16\n\
         profiles: [{schedulerName: default-scheduler}, {schedulerName: batch}]\n",
    );
    let (engine, election) =
        (&resolved.configuration.engine, &resolved.configuration.kubernetes.election);
    assert_eq!(engine.scheduler_names, ["default-scheduler".into(), "batch".into()]);
    assert_eq!((engine.backoff_initial, engine.backoff_max), (Span::seconds(2), Span::seconds(20)));
    assert_eq!(election.lease, ObjectName::new("kube-system", "kube-scheduler"));
    assert_eq!(election.lease_duration, Span::seconds(20));
    assert!(engine.profiles.is_empty(), "both profiles are the default one");
    assert_eq!(
        resolved.warnings,
        [
            "parallelism: has no effect here: decisions are made by one thread",
            "clientConnection.kubeconfig: has no effect here: name the file with --kubeconfig",
        ]
    );
}

#[test]
fn an_empty_file_schedules_for_the_default_scheduler() {
    let resolved = accepted("");
    assert_eq!(resolved.configuration.engine.scheduler_names, ["default-scheduler".into()]);
    assert_eq!(resolved.warnings, [""; 0]);
    let named = accepted("profiles: [{}]\n");
    assert_eq!(named, resolved);
}

#[test]
fn filters_are_turned_off_by_upstreams_order_of_precedence() {
    let off = |plugins: &str| -> Vec<&'static str> {
        let text = format!("profiles: [{{schedulerName: a, plugins: {plugins}}}]\n");
        let profiles = accepted(&text).configuration.engine.profiles;
        profiles.first().map(|(_, profile)| profile.filters_off.clone()).unwrap_or_default()
    };
    assert_eq!(off("{filter: {disabled: [{name: TaintToleration}]}}"), ["TaintToleration"]);
    assert_eq!(off("{multiPoint: {disabled: [{name: NodePorts}]}}"), ["NodePorts"]);
    let again = "{multiPoint: {disabled: [{name: NodePorts}]}, filter: {enabled: [{name: NodePorts}]}, \
                 preFilter: {enabled: [{name: NodePorts}]}}";
    assert_eq!(off(again), [""; 0], "a point goes before multiPoint");
    let both = "{filter: {enabled: [{name: NodePorts}], disabled: [{name: NodePorts}]}}";
    assert_eq!(off(both), [""; 0], "what is enabled goes before what is disabled");
    let all = off("{multiPoint: {disabled: [{name: \"*\"}], enabled: [{name: TaintToleration}]}}");
    assert!(all.contains(&"NodeAffinity") && !all.contains(&"TaintToleration"), "{all:?}");
    assert!(!all.contains(&"NodeResourcesFit"), "what pods ask for always counts");
}

#[test]
fn added_affinity_is_taken_in() {
    let resolved = accepted(
        "profiles: [{schedulerName: a, pluginConfig: [{name: NodeAffinity, args: {addedAffinity: \
         {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: \
         [{key: pool, operator: In, values: [batch]}]}]}}}}]}]\n",
    );
    assert_eq!(resolved.warnings, [""; 0]);
    let [(name, profile)] = &resolved.configuration.engine.profiles[..] else {
        panic!("one profile differs from the default")
    };
    assert_eq!(&**name, "a");
    let terms = profile.added_required.as_ref().expect("terms were added");
    assert_eq!(&*terms[0].match_expressions[0].key, "pool");
}

#[test]
fn what_has_no_effect_is_named_with_what_is_done_instead() {
    let cases = [
        (
            "percentageOfNodesToScore: 50\n",
            "percentageOfNodesToScore: is not needed: Muster looks at every node",
        ),
        (
            "profiles: [{percentageOfNodesToScore: 50}]\n",
            "profiles[0].percentageOfNodesToScore: is not needed: Muster looks at every node",
        ),
        (
            "profiles: [{plugins: {score: {enabled: [{name: ImageLocality, weight: 5}]}}}]\n",
            "profiles[0].plugins.score: has no effect here: nodes are ranked by Muster's own order (wishes of the pod, \
             then packing); no weight is used",
        ),
        (
            "profiles: [{plugins: {filter: {disabled: [{name: NodeResourcesFit}]}}}]\n",
            "profiles[0].plugins: the filter of NodeResourcesFit is disabled, but stays on here",
        ),
        (
            "profiles: [{pluginConfig: [{name: NodeResourcesFit, args: {scoringStrategy: {type: MostAllocated}}}]}]\n",
            "profiles[0].pluginConfig[0].args.scoringStrategy: has no effect here: every resource that a pod asks for \
             counts, and nodes are packed",
        ),
        (
            "profiles: [{plugins: {multiPoint: {enabled: [{name: Coscheduling}]}}}]\n",
            "profiles[0].plugins: Coscheduling is not needed: gangs are Muster's own",
        ),
        (
            "profiles: [{plugins: {permit: {disabled: [{name: \"*\"}]}}}]\n",
            "profiles[0].plugins.permit: has no effect here: groups are bound by Muster's own protocol",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(warnings(text), [expected], "{text}");
    }
}

#[test]
fn what_kube_scheduler_refuses_is_refused_with_its_place() {
    let cases = [
        (
            "parallelisms: 3\n",
            "line 3, column 1: unknown field \"parallelisms\": did you mean \"parallelism\"?",
        ),
        (
            "percentageOfNodesToScore: 101\n",
            "line 3, column 27: percentageOfNodesToScore: 101 must be between 0 and 100",
        ),
        (
            "leaderElection: {leaseDuration: soon}\n",
            "leaderElection.leaseDuration: \"soon\" is no duration; write 15s or 1m30s",
        ),
        ("leaderElection: {renewDeadline: 14s}\n", "leaderElection.renewDeadline: 14s with"),
        (
            "leaderElection: {resourceLock: endpoints}\n",
            "leaderElection.resourceLock: \"endpoints\" is not understood",
        ),
        ("profiles: [{schedulerName: a}, {}]\n", "profiles[1].schedulerName: is missing"),
        ("profiles: [{schedulerName: a}, {schedulerName: a}]\n", "\"a\" is listed twice"),
        (
            "profiles: [{plugins: {filter: {enabled: [{name: Mine}]}}}]\n",
            "profiles[0].plugins.filter.enabled: \"Mine\" is no plugin",
        ),
        (
            "profiles: [{plugins: {filters: {}}}]\n",
            "unknown field \"filters\": did you mean \"filter\"?",
        ),
        (
            "profiles: [{pluginConfig: [{name: NodeAffinity, args: {addedAffinities: {}}}]}]\n",
            "profiles[0].pluginConfig[0].args",
        ),
        (
            "profiles: [{pluginConfig: [{name: ImageLocality, args: {a: 1}}]}]\n",
            "ImageLocality takes no arguments",
        ),
        (
            "profiles: [{pluginConfig: [{name: InterPodAffinity, args: {hardPodAffinityWeight: 101}}]}]\n",
            "args.hardPodAffinityWeight: 101 must be between 0 and 100",
        ),
        (
            "profiles: [{pluginConfig: [{name: PodTopologySpread, args: {defaultConstraints: [{}]}}]}]\n",
            "must be empty unless defaultingType is List",
        ),
        ("profiles: [{pluginConfig: [{name: NodePorts}, {name: NodePorts}]}]\n", "given twice"),
        ("extenders: [{urlPrefix: \"http://a\"}]\n", "extenders: are not called here"),
    ];
    for (text, expected) in cases {
        let error = read(&format!("{HEAD}{text}")).expect_err(text).to_string();
        let nowhere = text.contains("}, {}]");
        assert!(error.starts_with("line ") || nowhere, "{text}: {error}");
        assert!(error.contains(expected), "{text}: {error}");
    }
    let old =
        read("apiVersion: kubescheduler.config.k8s.io/v1beta3\nkind: KubeSchedulerConfiguration\n");
    let error = old.expect_err("v1beta3 is gone").to_string();
    assert!(error.contains("write kubescheduler.config.k8s.io/v1"), "{error}");
}
