//! Muster's answer: the same objects through the product's own translation into its own engine.

use std::collections::BTreeMap;

use muster::base::names::ObjectName;
use muster::base::time::Time;
use muster::engine::Engine;
use muster::engine::event::Event;
use muster::engine::order::Action;
use muster::engine::order::WaitReason;
use muster::engine::settings::Settings;
use muster::kubernetes::translate::Kind;
use muster::kubernetes::translate::Translator;
use serde_json::Value;

use crate::case::Case;

/// What Muster says of one pod.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// By node: rule and reasons; the others are feasible.
    pub(crate) rejected: BTreeMap<String, (&'static str, Vec<String>)>,
    /// By feasible node, where nodes are ranked by kube-scheduler's scores.
    pub(crate) scores: Option<BTreeMap<String, i64>>,
    /// Where it is bound.
    pub(crate) node: Option<String>,
    /// Why it waits, and the message of its condition.
    pub(crate) waits: Option<(WaitReason, String)>,
    /// What of the objects it cannot use.
    pub(crate) complaints: Vec<String>,
}

/// Lets Muster judge.
pub(crate) fn judge(case: &Case) -> Answer {
    let settings = settings(case);
    let mut translator = Translator::for_engine(&settings);
    let ranks = settings.ranks_by_scores();
    let mut engine = Engine::new(settings);
    let mut answer = Answer::default();
    let mut now = Time::EPOCH;
    for object in case.objects.iter().chain([&case.pod]) {
        let Some(kind) = Kind::of(object) else { continue };
        now.0 += 1;
        let translated = translator.applied(kind, object);
        answer.complaints.extend(translated.complaint);
        translated.events.into_iter().for_each(|event| engine.observe(now, event));
    }
    engine.observe(now, Event::Synced);
    let pod = name_of(&case.pod);
    let rejections = engine.rejections(&pod).expect("the pod was told");
    answer.rejected = rejections
        .into_iter()
        .map(|rejection| {
            let reasons = rejection.reasons.iter().map(|reason| reason.to_string()).collect();
            (rejection.node.to_string(), (rejection.rule, reasons))
        })
        .collect();
    if ranks {
        let scores = engine.scores(&pod).expect("the pod was told").into_iter();
        answer.scores = Some(scores.map(|(node, score)| (node.to_string(), score)).collect());
    }
    let orders = engine.decide(now).orders;
    answer.node = orders.into_iter().find_map(|order| {
        let Action::Bind { pod: bound, node, .. } = order.action else { return None };
        (bound.name == pod).then(|| node.to_string())
    });
    // A pod whose claims are bound first has a seat, and its bind is yet to come.
    let members = engine.explain(now, &pod).into_iter().flat_map(|explanation| explanation.members);
    let seat = members.filter(|member| member.pod == pod.name).find_map(|member| member.node);
    answer.node = answer.node.or_else(|| seat.map(|node| node.to_string()));
    let waiting = engine.waiting(now).into_iter();
    answer.waits = waiting
        .filter(|gang| gang.namespace == pod.namespace && gang.gang == pod.name)
        .map(|gang| (gang.reason, gang.message))
        .next();
    answer
}

/// As `muster run --config FILE` would have them.
fn settings(case: &Case) -> Settings {
    let defaults =
        Settings { scheduler_names: vec!["default-scheduler".into()], ..Settings::default() };
    let Some(configuration) = &case.configuration else { return defaults };
    match muster::config::read(&configuration.to_string()) {
        Ok(resolved) => resolved.configuration.engine,
        // A case that is being shrunk may lose what makes its configuration one; upstream says so too.
        Err(_) => defaults,
    }
}

fn name_of(object: &Value) -> ObjectName {
    let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default().into();
    ObjectName { namespace: text("namespace"), name: text("name") }
}
