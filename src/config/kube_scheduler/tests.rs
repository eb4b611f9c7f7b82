//! kube-scheduler's configuration: what of it is taken in, what is named in a warning, what is refused.

use super::super::Resolved;
use super::super::read;
use crate::base::names::ObjectName;
use crate::base::time::Span;
use crate::workload::profile::{DefaultSpread, Strategy, TermsOfOthers, Weighing};
use crate::workload::relations::{InclusionPolicy, SpreadBy};

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
    let filters = [
        "DynamicResources",
        "InterPodAffinity",
        "NodeAffinity",
        "NodeDeclaredFeatures",
        "NodePorts",
        "NodeResourcesFit",
        "NodeUnschedulable",
        "NodeVolumeLimits",
        "PodTopologySpread",
        "VolumeBinding",
        "VolumeRestrictions",
        "VolumeZone",
    ];
    assert_eq!(all, filters);
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

/// What the one profile of the file says about scores.
fn weighing(profile: &str) -> Option<Weighing> {
    let profiles = accepted(&format!("profiles: [{{{profile}}}]\n")).configuration.engine.profiles;
    profiles.first()?.1.weighing.clone()
}

#[test]
fn nodes_are_ranked_by_scores_where_anything_is_said_about_them() {
    for silent in [
        "",
        "plugins: {multiPoint: {disabled: [{name: ImageLocality}], enabled: [{name: NodePorts}]}}",
        "plugins: {filter: {disabled: [{name: TaintToleration}]}}",
        "pluginConfig: [{name: NodeResourcesFit, args: {ignoredResources: [a.com/b]}}]",
        "pluginConfig: [{name: InterPodAffinity, args: {hardPodAffinityWeight: 7}}]",
    ] {
        assert_eq!(weighing(silent), None, "{silent}");
    }
    let roomless = weighing("plugins: {multiPoint: {disabled: [{name: NodeResourcesFit}]}}");
    let roomless = roomless.expect("Muster's own order is by room").weights;
    assert!(roomless.len() == 7 && roomless.iter().all(|(name, _)| *name != "NodeResourcesFit"));
    let default = [
        ("ImageLocality", 1),
        ("InterPodAffinity", 2),
        ("NodeAffinity", 2),
        ("NodeResourcesBalancedAllocation", 1),
        ("NodeResourcesFit", 1),
        ("PodTopologySpread", 2),
        ("TaintToleration", 3),
        ("VolumeBinding", 1),
    ];
    let least = weighing(
        "pluginConfig: [{name: NodeResourcesFit, args: {scoringStrategy: {type: LeastAllocated}}}]",
    );
    let least = least.expect("a strategy is written");
    assert_eq!((&least.weights[..], least.strategy), (&default[..], Strategy::LeastAllocated));
    assert_eq!(least.resources, [("cpu".into(), 1), ("memory".into(), 1)]);
    assert_eq!(least.balanced, ["cpu".into(), "memory".into()]);
    assert_eq!(least.storage, [(0, 100), (100, 0)]);
}

#[test]
fn how_long_volumes_may_take_and_how_they_score_is_taken_in() {
    let read = |args: &str| {
        let plugin = format!("{{name: VolumeBinding, args: {args}}}");
        let read = accepted(&format!("profiles: [{{pluginConfig: [{plugin}]}}]\n"));
        assert_eq!(read.warnings, [""; 0], "{args}");
        let profiles = read.configuration.engine.profiles;
        profiles.first().map(|(_, profile)| (**profile).clone()).unwrap_or_default()
    };
    let profile = read("{bindTimeoutSeconds: 30}");
    assert_eq!((profile.bind_timeout, profile.weighing), (Some(Span::seconds(30)), None));
    assert_eq!(read("{bindTimeoutSeconds: 0}").bind_timeout, Some(Span::seconds(1)));
    assert_eq!(read("{}").bind_timeout, None);
    let shape = read("{shape: [{utilization: 10, score: 2}, {utilization: 90, score: 7}]}");
    let weighing = shape.weighing.expect("a shape is written");
    assert_eq!(weighing.storage, [(10, 20), (90, 70)]);
    assert_eq!(weighing.weight("VolumeBinding"), 1);
}

#[test]
fn weights_follow_upstreams_order_of_precedence() {
    let weights = |plugins: &str| {
        weighing(&format!("plugins: {plugins}")).expect("scores are written about").weights
    };
    let of = |plugins: &str, name: &str| {
        weights(plugins).into_iter().find(|(known, _)| *known == name).map(|(_, weight)| weight)
    };
    let fit = "NodeResourcesFit";
    assert_eq!(of("{score: {enabled: [{name: NodeResourcesFit, weight: 7}]}}", fit), Some(7));
    assert_eq!(of("{multiPoint: {enabled: [{name: NodeResourcesFit, weight: 7}]}}", fit), Some(7));
    let both = "{score: {enabled: [{name: TaintToleration}]}, \
                multiPoint: {enabled: [{name: TaintToleration, weight: 7}]}}";
    assert_eq!(of(both, "TaintToleration"), Some(1), "named without a weight, it counts once");
    assert_eq!(of("{score: {disabled: [{name: NodeResourcesFit}]}}", fit), None);
    let only = "{score: {disabled: [{name: \"*\"}], enabled: [{name: ImageLocality, weight: 5}]}}";
    assert_eq!(weights(only), [("ImageLocality", 5)]);
}

#[test]
fn strategies_and_what_they_score_by_are_taken_in() {
    let read = weighing(
        "pluginConfig: [{name: NodeResourcesFit, args: {scoringStrategy: {type: RequestedToCapacityRatio, \
         resources: [{name: nvidia.com/gpu, weight: 5}, {name: cpu}], requestedToCapacityRatio: {shape: \
         [{utilization: 0, score: 0}, {utilization: 100, score: 10}]}}}}, \
         {name: NodeResourcesBalancedAllocation, args: {resources: [{name: nvidia.com/gpu}]}}]",
    );
    let read = read.expect("a strategy is written");
    assert_eq!(read.strategy, Strategy::RequestedToCapacityRatio(vec![(0, 0), (100, 100)]));
    assert_eq!(read.resources, [("nvidia.com/gpu".into(), 5), ("cpu".into(), 1)]);
    assert_eq!(read.balanced, ["nvidia.com/gpu".into()]);
}

#[test]
fn what_is_ignored_and_what_bonds_weigh_is_taken_in() {
    let resolved = accepted(
        "profiles: [{schedulerName: a, pluginConfig: [{name: NodeResourcesFit, args: {ignoredResources: [a.com/b], \
         ignoredResourceGroups: [c.com]}}, {name: InterPodAffinity, args: {hardPodAffinityWeight: 7, \
         ignorePreferredTermsOfExistingPods: true}}]}]\n",
    );
    assert_eq!(resolved.warnings, [""; 0]);
    let profile = &resolved.configuration.engine.profiles[0].1;
    for (name, ignored) in [
        ("a.com/b", true),
        ("a.com/c", false),
        ("c.com/anything", true),
        ("c.com", false),
        ("memory", false),
    ] {
        assert_eq!(profile.ignored.holds(name), ignored, "{name}");
    }
    assert_eq!(profile.bond_weight, Some(7));
    assert_eq!(profile.terms_of_others, TermsOfOthers::CountForThoseWithTerms);
}

/// How the one profile of the file spreads pods that say nothing of it.
fn default_spread(profile: &str) -> Option<DefaultSpread> {
    let profiles = accepted(&format!("profiles: [{{{profile}}}]\n")).configuration.engine.profiles;
    profiles.first()?.1.default_spread.clone()
}

#[test]
fn pods_are_spread_by_default_where_a_filter_or_score_reads_it() {
    let list = |plugins: &str, constraints: &str| {
        default_spread(&format!(
            "plugins: {{{plugins}}}, pluginConfig: [{{name: PodTopologySpread, args: {{defaultingType: List, \
             defaultConstraints: [{constraints}]}}}}]"
        ))
    };
    let both = "{maxSkew: 2, topologyKey: zone, whenUnsatisfiable: DoNotSchedule, minDomains: 3, nodeTaintsPolicy: \
                Honor}, {maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}";
    let read = list("", both).expect("both are read");
    assert_eq!((read.required.len(), read.wished.len(), read.by), (1, 1, SpreadBy::Profile));
    assert_eq!((read.required[0].max_skew, read.required[0].min_domains), (2, 3));
    assert_eq!(read.required[0].node_taints_policy, InclusionPolicy::Honor);
    assert_eq!(read.wished[0].node_taints_policy, InclusionPolicy::Ignore);
    let unfiltered = list("filter: {disabled: [{name: PodTopologySpread}]}", both);
    assert_eq!(unfiltered.map(|read| (read.required.len(), read.wished.len())), Some((0, 1)));
    let unscored = list("score: {disabled: [{name: PodTopologySpread}]}", both);
    assert_eq!(unscored.map(|read| (read.required.len(), read.wished.len())), Some((1, 0)));
    assert_eq!(list("multiPoint: {disabled: [{name: PodTopologySpread}]}", both), None);
    assert_eq!(list("", ""), None, "a list of none turns spreading by default off");
}

#[test]
fn the_systems_own_spreading_is_for_profiles_that_ask_for_scores() {
    let scores = "{name: NodeResourcesFit, args: {scoringStrategy: {type: LeastAllocated}}}";
    for system in ["", ", {name: PodTopologySpread}", ", {name: PodTopologySpread, args: {}}"] {
        let read = default_spread(&format!("pluginConfig: [{scores}{system}]")).expect(system);
        let constraints: Vec<_> =
            read.wished.iter().map(|one| (&*one.topology_key, one.max_skew)).collect();
        let expected = [("kubernetes.io/hostname", 3), ("topology.kubernetes.io/zone", 5)];
        assert_eq!((&constraints[..], read.required.len()), (&expected[..], 0));
        assert_eq!(read.by, SpreadBy::System);
    }
    let unscored = "plugins: {score: {disabled: [{name: PodTopologySpread}]}}";
    assert_eq!(default_spread(&format!("{unscored}, pluginConfig: [{scores}]")), None);
    let list = "{name: PodTopologySpread, args: {defaultingType: List}}";
    assert_eq!(default_spread(&format!("pluginConfig: [{scores}, {list}]")), None);
    assert_eq!(default_spread("plugins: {filter: {disabled: [{name: NodePorts}]}}"), None);
}

#[test]
fn default_constraints_are_checked_as_upstream_checks_them() {
    let sound = "maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule";
    let with = |more: &str| format!("{{{sound}, {more}}}");
    for (constraints, expected) in [
        (with("labelSelector: {}"), "[0].labelSelector: must not be given"),
        (
            format!("{{{sound}}}, {{{sound}}}"),
            "[1].topologyKey: zone with DoNotSchedule is listed twice",
        ),
        (with("minDomains: 0"), "[0].minDomains: 0 must be greater than 0"),
        (
            with("nodeTaintsPolicy: honor"),
            "[0].nodeTaintsPolicy: \"honor\" must be Honor or Ignore",
        ),
        (sound_but(sound, "maxSkew: 1", "maxSkew: 0"), "[0].maxSkew: 0 must be greater than 0"),
        (sound_but(sound, "maxSkew: 1, ", ""), "[0].maxSkew: 0 must be greater than 0"),
        (
            sound_but(sound, "zone", "a/b/c"),
            "[0].topologyKey: \"a/b/c\" must be the key of a node label",
        ),
        (sound_but(sound, "DoNotSchedule", "Never"), "[0].whenUnsatisfiable: \"Never\" must be"),
        (with("skew: 1"), "unknown field `skew`"),
    ] {
        let text = format!(
            "{HEAD}profiles: [{{pluginConfig: [{{name: PodTopologySpread, args: {{defaultingType: List, \
             defaultConstraints: [{constraints}]}}}}]}}]\n"
        );
        let error = read(&text).expect_err(&constraints).to_string();
        assert!(error.contains(expected), "{constraints}: {error}");
    }
}

/// A constraint with one part written otherwise.
fn sound_but(sound: &str, part: &str, otherwise: &str) -> String {
    format!("{{{}}}", sound.replace(part, otherwise))
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
            "profiles: [{plugins: {score: {enabled: [{name: DynamicResources, weight: 5}]}}}]\n",
            "profiles[0].plugins.score: DynamicResources gives no score here",
        ),
        (
            "profiles: [{plugins: {preScore: {disabled: [{name: TaintToleration}]}}}]\n",
            "profiles[0].plugins: TaintToleration is disabled at preScore and not at score; here both are one, and off",
        ),
        (
            "profiles: [{plugins: {filter: {disabled: [{name: NodeResourcesFit}]}}}]\n",
            "profiles[0].plugins: NodeResourcesFit is disabled at one of preFilter and filter; here both are one, and off",
        ),
        (
            "profiles: [{pluginConfig: [{name: NodeResourcesFit, args: {ignoredResources: [nvidia.com/gpu, a.com/b]}}]}]\n",
            "profiles[0].pluginConfig[0].args.ignoredResources: cards of nvidia.com/gpu count all the same: a gang that \
             is bound whole must not find them taken",
        ),
        (
            "profiles: [{pluginConfig: [{name: PodTopologySpread, args: {defaultingType: System}}]}]\n",
            "profiles[0].pluginConfig[0].args.defaultingType: has no effect here: the system's own spreading is a score, \
             and the profile asks for none",
        ),
        (
            "profiles: [{pluginConfig: [{name: PodTopologySpread, args: {defaultingType: List, defaultConstraints: \
             [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule, matchLabelKeys: [app]}]}}]}]\n",
            "profiles[0].pluginConfig[0].args.defaultConstraints[0].matchLabelKeys: has no effect, as in kube-scheduler: \
             what selects each pod tells which pods count",
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
        (
            "profiles: [{plugins: {score: {enabled: [{name: ImageLocality, weight: -1}]}}}]\n",
            "profiles[0].plugins.score.enabled: the weight -1 of ImageLocality must be between 0 and 2147483647",
        ),
        (
            "profiles: [{pluginConfig: [{name: NodeResourcesFit, args: {scoringStrategy: {type: Most}}}]}]\n",
            "scoringStrategy.type: \"Most\" must be LeastAllocated, MostAllocated, or RequestedToCapacityRatio",
        ),
        (
            "profiles: [{pluginConfig: [{name: NodeResourcesFit, args: {scoringStrategy: {type: \
             RequestedToCapacityRatio}}}]}]\n",
            "scoringStrategy.requestedToCapacityRatio.shape: is missing; write at least one point",
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
}

#[test]
fn an_older_version_is_told_which_one_is_read() {
    let old =
        read("apiVersion: kubescheduler.config.k8s.io/v1beta3\nkind: KubeSchedulerConfiguration\n");
    let error = old.expect_err("v1beta3 is gone").to_string();
    assert!(error.contains("write kubescheduler.config.k8s.io/v1"), "{error}");
}
