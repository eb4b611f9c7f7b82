//! Where the two answers differ, in words; nothing where they agree.

use std::fmt::Write;

use muster::engine::order::WaitReason;

use crate::product;
use crate::upstream;

/// What a comparison came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Both let the pod run on the same nodes and give the same reasons for the others.
    Same(Agreement),
    /// Muster refuses it by name: the field is not honoured yet, and the manual says so.
    NotHonoured(String),
    /// kube-scheduler cannot judge it: no API server would have let it in.
    Invalid(String),
    /// They differ.
    Different(String),
}

/// On what both agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Agreement {
    /// It has scheduling gates.
    Gated,
    /// No node takes it.
    Nowhere,
    /// Some nodes take it.
    Somewhere,
    /// All nodes take it.
    Everywhere,
}

pub(crate) fn compare(upstream: &upstream::Answer, muster: &product::Answer) -> Outcome {
    if let Some(error) = &upstream.error {
        return Outcome::Invalid(error.clone());
    }
    let gated = matches!(&muster.waits, Some((WaitReason::SchedulingGated, _)));
    if gated || upstream.pre_enqueue.is_some() {
        let both =
            gated && upstream.pre_enqueue.as_ref().is_some_and(|v| v.plugin == "SchedulingGates");
        return if both {
            Outcome::Same(Agreement::Gated)
        } else {
            Outcome::Different(format!(
                "gated by Muster: {gated}, upstream: {:?}",
                upstream.pre_enqueue
            ))
        };
    }
    if let Some((WaitReason::Unsupported, message)) = &muster.waits {
        return Outcome::NotHonoured(message.clone());
    }
    let mut differences = nodes(upstream, muster);
    differences.push_str(&scores(upstream, muster));
    differences.push_str(&decision(upstream, muster));
    if !differences.is_empty() {
        return Outcome::Different(differences);
    }
    Outcome::Same(match (upstream.scores.is_empty(), upstream.rejected.is_empty()) {
        (true, _) => Agreement::Nowhere,
        (false, false) => Agreement::Somewhere,
        (false, true) => Agreement::Everywhere,
    })
}

/// Verdicts node by node.
fn nodes(upstream: &upstream::Answer, muster: &product::Answer) -> String {
    let mut text = String::new();
    let mut names: Vec<&String> = upstream.rejected.keys().chain(muster.rejected.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let theirs = upstream.rejected.get(name).map(|verdict| {
            let mut reasons = verdict.reasons.clone();
            reasons.sort();
            (verdict.plugin.as_str(), reasons)
        });
        let ours = muster.rejected.get(name).map(|(rule, reasons)| {
            let mut reasons = reasons.clone();
            reasons.sort();
            (*rule, reasons)
        });
        if !same(theirs.as_ref(), ours.as_ref()) {
            let _ = writeln!(text, "  {name}: upstream {}, muster {}", shown(theirs), shown(ours));
        }
    }
    text
}

/// Scores node by node, where Muster ranks by them; and the node that is chosen must be among the best.
fn scores(upstream: &upstream::Answer, muster: &product::Answer) -> String {
    let mut text = String::new();
    let Some(ours) = &muster.scores else { return text };
    for (node, theirs) in &upstream.scores {
        if ours.get(node) != Some(&theirs.total) {
            let _ = writeln!(
                text,
                "  {node}: upstream scores {} of {:?}, muster {:?}",
                theirs.total,
                theirs.plugins,
                ours.get(node)
            );
        }
    }
    let best = upstream.scores.values().map(|score| score.total).max();
    if let Some(node) = &muster.node
        && upstream.scores.get(node).map(|score| score.total) != best
    {
        let _ = writeln!(text, "  bound to {node}, which is not among the best");
    }
    text
}

/// The framework itself rejects nodes that PreFilter narrowed away, in the name of no plugin.
fn same(theirs: Option<&(&str, Vec<String>)>, ours: Option<&(&str, Vec<String>)>) -> bool {
    match (theirs, ours) {
        (None, None) => true,
        (Some((plugin, theirs)), Some((rule, ours))) => {
            theirs == ours && (plugin.is_empty() || plugin == rule)
        }
        (None, Some(_)) | (Some(_), None) => false,
    }
}

fn shown(verdict: Option<(&str, Vec<String>)>) -> String {
    verdict.map_or_else(|| "takes it".to_owned(), |(rule, reasons)| format!("{rule} {reasons:?}"))
}

/// What comes of it: a bind to a feasible node, or the message of the condition.
fn decision(upstream: &upstream::Answer, muster: &product::Answer) -> String {
    let feasible: Vec<&String> = upstream.scores.keys().collect();
    match (&muster.node, feasible.is_empty()) {
        (Some(node), _) if feasible.contains(&node) => String::new(),
        (Some(node), _) => format!("  bound to {node}, which upstream rejects\n"),
        (None, false) => {
            format!("  not bound, though upstream takes {feasible:?}: {:?}\n", muster.waits)
        }
        (None, true) => match &muster.waits {
            Some((WaitReason::Unschedulable, message)) if *message == expected(upstream) => {
                String::new()
            }
            waits => format!("  message: upstream {:?}, muster {waits:?}\n", upstream.message),
        },
    }
}

/// Upstream's message, but for the one difference that docs/COMPATIBILITY.md lists: the number before a conflict.
fn expected(upstream: &upstream::Answer) -> String {
    const CONFLICT: &str = "pod affinity terms conflict";
    let nodes = upstream.rejected.len();
    upstream.message.replace(CONFLICT, &format!("{nodes} {CONFLICT}"))
}
