//! Metrics as Prometheus text. kube-scheduler's stable names where the meaning is the same, `muster_` for the rest.
//! Base units; labels come from closed lists, never from names of pods, gangs, or nodes.
//! Keeps no number itself: a page is written from one report of the driver, so its figures belong together.

use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::EncodeMetric;
use prometheus_client::encoding::NoLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use prometheus_client::registry::Unit;

use crate::engine::order::WaitReason;
use crate::kubernetes::driver::Report;
use crate::kubernetes::durations::Durations;
use crate::kubernetes::traffic::Recounted;

/// Every reason that a gang can wait for; each is shown, also at zero, so that alerts can be written before it occurs.
const REASONS: [WaitReason; 9] = [
    WaitReason::Unschedulable,
    WaitReason::WaitingForMembers,
    WaitReason::WaitingForTurn,
    WaitReason::WaitingForVictims,
    WaitReason::WaitingForVolumes,
    WaitReason::SchedulingGated,
    WaitReason::InvalidGang,
    WaitReason::Unsupported,
    WaitReason::GangAborted,
];

/// The metrics of one moment, in Prometheus text (OpenMetrics).
pub fn text(report: Report) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Sheet(report)));
    let mut text = String::new();
    encode(&mut text, &registry).expect("writing to a string does not fail");
    text
}

/// One report as a collector.
#[derive(Debug)]
struct Sheet(Report);

/// One value of a family: its labels and the number.
type Sample<'a> = (Vec<(&'static str, &'a str)>, u64);

impl Collector for Sheet {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let page = &mut Page { encoder: &mut encoder };
        self.orders(page)?;
        self.gangs(page)?;
        self.wire(page)?;
        self.watches(page)?;
        self.rights(page)?;
        self.state(page)
    }
}

impl Sheet {
    fn orders(&self, page: &mut Page<'_, '_>) -> fmt::Result {
        let engine = &self.0.engine;
        let failed = engine.binds_conflicted + engine.binds_refused + engine.binds_gone;
        page.counters(
            "scheduler_schedule_attempts",
            "Attempts to schedule pods that ended in a bind (scheduled) or a failed one (error)",
            &[
                (vec![("result", "scheduled"), ("profile", "muster")], engine.binds_done),
                (vec![("result", "error"), ("profile", "muster")], failed),
            ],
        )?;
        let outcome = |outcome, count| (vec![("outcome", outcome)], count);
        page.counters(
            "muster_binds",
            "Bind orders by what became of them; those of unknown outcome are settled by a later fact",
            &[
                outcome("done", engine.binds_done),
                outcome("conflict", engine.binds_conflicted),
                outcome("gone", engine.binds_gone),
                outcome("refused", engine.binds_refused),
                outcome("unknown", engine.binds_unknown),
                outcome("foreign", engine.binds_foreign),
            ],
        )?;
        page.counters(
            "muster_binds_repeated",
            "Binds sent again because nobody knew what had become of them",
            &[(vec![], engine.binds_repeated)],
        )?;
        page.counters(
            "muster_gangs_lost_members",
            "Gangs that had started and lost members below their minimum, and what became of them",
            &[
                (vec![("result", "lost")], engine.gangs_crippled),
                (vec![("result", "restarted")], engine.gangs_restarted),
                (vec![("result", "held")], engine.gangs_held),
            ],
        )?;
        page.counters(
            "muster_evictions_ordered",
            "Evictions ordered, repeated ones included",
            &[(vec![], engine.evictions_ordered)],
        )?;
        page.counters(
            "muster_node_quarantines",
            "Times that a node was avoided for turning pods away",
            &[(vec![], engine.nodes_quarantined)],
        )?;
        page.gauge(
            "muster_binds_in_flight",
            "Binds ordered and not settled",
            self.0.orders_under_way as u64,
        )?;
        page.histogram(
            "muster_pod_scheduling_duration",
            "From the first sight of a pod to its confirmed bind",
            &self.0.scheduling,
        )
    }

    fn gangs(&self, page: &mut Page<'_, '_>) -> fmt::Result {
        let engine = &self.0.engine;
        let result = |result, count| (vec![("result", result)], count);
        page.counters(
            "muster_gang_attempts",
            "Planning attempts by result",
            &[
                result("planned", engine.planned),
                result("refused", engine.refused),
                result("refused_for_turn", engine.refused_for_turn),
                result("below_min_resources", engine.refused_by_floor),
                result("search_cut_short", engine.searches_cut_short),
            ],
        )?;
        page.counters(
            "muster_gang_plans",
            "Plans of gangs by what became of them; what lies between its record and other hands is lost, changed, or malformed",
            &[
                result("proposed", engine.gangs_proposed),
                result("sealed", engine.gangs_sealed),
                result("repaired", engine.gangs_repaired),
                result("aborted", engine.gangs_aborted),
                result("abort_put_off", engine.aborts_put_off),
                result("resumed", engine.gangs_resumed),
                result("dropped", engine.plans_dropped),
                result("record_lost", engine.records_lost),
                result("record_changed", engine.records_changed),
                result("record_malformed", engine.records_malformed),
                result("record_removed", engine.records_removed),
            ],
        )?;
        let waiting = |reason: WaitReason| {
            let count = self
                .0
                .waiting
                .iter()
                .find(|(known, _)| *known == reason)
                .map_or(0, |(_, count)| *count);
            (vec![("reason", reason.as_str())], count as u64)
        };
        page.gauges(
            "muster_gangs_waiting",
            "Gangs of which a member waits, by reason",
            &REASONS.map(waiting),
        )?;
        page.counter(
            "muster_places_kept",
            "Places kept for gangs that were refused for long",
            engine.places_kept,
        )?;
        page.counter("muster_cycles", "Cycles of the engine", engine.cycles)?;
        page.histogram(
            "muster_cycle_duration",
            "How long the engine took for one cycle",
            &self.0.cycles,
        )
    }

    fn wire(&self, page: &mut Page<'_, '_>) -> fmt::Result {
        let traffic = &self.0.traffic;
        let codes: Vec<(&'static str, String, u64)> = traffic
            .requests
            .iter()
            .map(|((purpose, status), count)| {
                let code = if *status == 0 { "lost".to_owned() } else { status.to_string() };
                (purpose.as_str(), code, *count)
            })
            .collect();
        let requests: Vec<Sample<'_>> = codes
            .iter()
            .map(|(purpose, code, count)| {
                (vec![("purpose", *purpose), ("code", code.as_str())], *count)
            })
            .collect();
        page.counters(
            "muster_api_requests",
            "Requests to the API server other than lists and watches, by purpose and HTTP status (lost: no answer)",
            &requests,
        )?;
        page.gauge(
            "muster_write_window",
            "Requests that the write path may keep under way: as many as the server answers fast",
            self.0.write_window,
        )?;
        page.counter(
            "muster_notices_dropped",
            "Conditions and events dropped unwritten",
            traffic.notices_dropped,
        )?;
        page.gauge(
            "muster_notices_waiting",
            "Conditions and events not written yet",
            self.0.notices_waiting as u64,
        )
    }

    fn watches(&self, page: &mut Page<'_, '_>) -> fmt::Result {
        let traffic = &self.0.traffic;
        let by_kind = |counts: &std::collections::BTreeMap<
            crate::kubernetes::translate::Kind,
            u64,
        >|
         -> Vec<Sample<'_>> {
            counts.iter().map(|(kind, count)| (vec![("kind", kind.as_str())], *count)).collect()
        };
        page.counters(
            "muster_watch_errors",
            "Failed lists and watches by kind",
            &by_kind(&traffic.watch_errors),
        )?;
        let failing: Vec<Sample<'_>> = traffic
            .watch_errors
            .keys()
            .map(|kind| {
                let fails = traffic.watch_troubles.contains_key(kind);
                (vec![("kind", kind.as_str())], u64::from(fails))
            })
            .collect();
        page.gauges(
            "muster_watch_failing",
            "1 while a kind cannot be listed or watched; shown once it has failed",
            &failing,
        )?;
        page.counters(
            "muster_watches_slowed",
            "Watches opened after a pause because those before them ended at once, by kind",
            &by_kind(&traffic.watches_slowed),
        )?;
        page.counters(
            "muster_lists",
            "Lists begun by kind; more than one is a relist",
            &by_kind(&traffic.lists),
        )?;
        let recounts = Recounted::ALL.map(|result| {
            let count = traffic.recounts.get(&result).copied().unwrap_or(0);
            (vec![("result", result.as_str())], count)
        });
        page.counters(
            "muster_recounts",
            "Recounts against fresh listings by result; a difference that nothing explains ends the process",
            &recounts,
        )?;
        let foreign = traffic.foreign_group_versions.as_deref();
        let foreign: Vec<Sample<'_>> =
            foreign.map(|versions| (vec![("versions", versions)], 1)).into_iter().collect();
        page.gauges(
            "muster_pod_group_api_unread",
            "1 while the CRD of PodGroups is served in other versions than the one that is read",
            &foreign,
        )?;
        page.gauge(
            "muster_calendar_offset_seconds",
            "How far the machine's calendar has moved, either way, from the clock that the process counts by",
            self.0.calendar_offset.0.unsigned_abs() / 1_000_000_000,
        )?;
        page.counter(
            "muster_stale_objects",
            "Objects from watches older than what was known",
            traffic.stale_objects,
        )
    }

    fn rights(&self, page: &mut Page<'_, '_>) -> fmt::Result {
        let missing: Vec<Sample<'_>> = self
            .0
            .traffic
            .rights_missing()
            .map(|(right, is_missing)| (vec![("right", right)], u64::from(is_missing)))
            .collect();
        page.gauges(
            "muster_right_missing",
            "1 from a refusal for lack of a right until ten minutes after the last; shown once it was missed",
            &missing,
        )
    }

    fn state(&self, page: &mut Page<'_, '_>) -> fmt::Result {
        let cached = |kind, count: usize| (vec![("type", kind)], count as u64);
        page.gauges(
            "scheduler_cache_size",
            "Objects that the scheduler knows",
            &[
                cached("nodes", self.0.nodes),
                cached("pods", self.0.pods),
                cached("pod_groups", self.0.groups),
                cached("assumed_pods", self.0.orders_under_way),
            ],
        )?;
        page.gauge(
            "muster_synced",
            "1 once everything was listed and decisions are made",
            u64::from(self.0.synced),
        )?;
        page.gauge(
            "muster_listed",
            "1 once everything was listed; a standby has then caught up",
            u64::from(self.0.listed),
        )?;
        let lease = self.0.lease.as_deref();
        let leads: Vec<Sample<'_>> =
            lease.map(|name| (vec![("name", name)], u64::from(self.0.leads))).into_iter().collect();
        page.gauges(
            "leader_election_master_status",
            "1 while this process leads, 0 while it stands by, as other components of Kubernetes show it",
            &leads,
        )?;
        page.gauges(
            "muster_build_info",
            "The version that runs",
            &[(vec![("version", env!("CARGO_PKG_VERSION"))], 1)],
        )
    }
}

/// Writes families.
struct Page<'a, 'e> {
    encoder: &'a mut DescriptorEncoder<'e>,
}

impl Page<'_, '_> {
    fn counter(&mut self, name: &str, help: &str, count: u64) -> fmt::Result {
        self.counters(name, help, &[(Vec::new(), count)])
    }

    fn counters(&mut self, name: &str, help: &str, samples: &[Sample<'_>]) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, count) in samples {
            let metric = ConstCounter::new(*count);
            match labels.as_slice() {
                [] => family.encode_counter::<NoLabelSet, u64, f64>(count, None)?,
                labels => metric.encode(family.encode_family(&labels)?)?,
            }
        }
        Ok(())
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.gauges(name, help, &[(Vec::new(), value)])
    }

    fn gauges(&mut self, name: &str, help: &str, samples: &[Sample<'_>]) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in samples {
            let value = i64::try_from(*value).unwrap_or(i64::MAX);
            match labels.as_slice() {
                [] => family.encode_gauge(&value)?,
                labels => ConstGauge::new(value).encode(family.encode_family(&labels)?)?,
            }
        }
        Ok(())
    }

    /// In seconds; the unit is added to the name.
    fn histogram(&mut self, name: &str, help: &str, durations: &Durations) -> fmt::Result {
        let seconds = |span: crate::base::time::Span| {
            Duration::from_nanos(u64::try_from(span.0).unwrap_or(0)).as_secs_f64()
        };
        let buckets: Vec<(f64, u64)> = durations
            .buckets()
            .map(|(bound, count)| (bound.map_or(f64::INFINITY, seconds), count))
            .collect();
        let mut family = self.encoder.encode_descriptor(
            name,
            help,
            Some(&Unit::Seconds),
            MetricType::Histogram,
        )?;
        family.encode_histogram::<NoLabelSet>(
            seconds(durations.sum()),
            durations.total(),
            &buckets,
            None,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::text;
    use crate::base::time::Span;
    use crate::cluster::facts::GroupSource;
    use crate::engine::counters::Counters;
    use crate::engine::order::WaitReason;
    use crate::kubernetes::driver::Report;
    use crate::kubernetes::durations::Durations;
    use crate::kubernetes::traffic::Purpose;
    use crate::kubernetes::traffic::TrafficCounts;
    use crate::kubernetes::translate::Kind;

    #[test]
    fn the_sheet_reads_as_prometheus_text() {
        let mut scheduling = Durations::new(Span::milliseconds(10));
        scheduling.count(Span::milliseconds(15));
        let traffic = TrafficCounts {
            requests: [((Purpose::Bind, 201), 7), ((Purpose::Bind, 0), 1)].into(),
            watch_errors: [(Kind::Group(GroupSource::Coscheduling), 2)].into(),
            ..TrafficCounts::default()
        };
        let shown = text(Report {
            listed: true,
            synced: true,
            leads: true,
            lease: Some("muster".into()),
            engine: Counters { binds_done: 7, binds_conflicted: 1, ..Counters::default() },
            traffic,
            waiting: vec![(WaitReason::WaitingForTurn, 3)],
            nodes: 2,
            pods: 9,
            groups: 1,
            orders_under_way: 0,
            write_window: 8,
            notices_waiting: 0,
            calendar_offset: Span::seconds(-3600),
            work_is_due: false,
            cycles: Durations::new(Span::milliseconds(1)),
            scheduling,
        });
        for line in [
            "scheduler_schedule_attempts_total{result=\"scheduled\",profile=\"muster\"} 7",
            "scheduler_schedule_attempts_total{result=\"error\",profile=\"muster\"} 1",
            "muster_api_requests_total{purpose=\"bind\",code=\"lost\"} 1",
            "muster_gangs_waiting{reason=\"WaitingForTurn\"} 3",
            "muster_gangs_waiting{reason=\"Unschedulable\"} 0",
            "muster_watch_errors_total{kind=\"podgroups.scheduling.x-k8s.io\"} 2",
            "muster_pod_scheduling_duration_seconds_bucket{le=\"0.01\"} 0",
            "muster_pod_scheduling_duration_seconds_bucket{le=\"0.02\"} 1",
            "muster_pod_scheduling_duration_seconds_bucket{le=\"+Inf\"} 1",
            "muster_pod_scheduling_duration_seconds_count 1",
            "muster_synced 1",
            "leader_election_master_status{name=\"muster\"} 1",
            "scheduler_cache_size{type=\"pods\"} 9",
            "muster_calendar_offset_seconds 3600",
            "muster_cycles_total 0",
        ] {
            assert!(shown.lines().any(|shown| shown == line), "missing {line:?} in:\n{shown}");
        }
        assert!(shown.ends_with("# EOF\n"));
    }
}
