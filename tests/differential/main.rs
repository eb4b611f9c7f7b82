//! Muster beside kube-scheduler's own plugins: clusters drawn by seed go to both, and both must let the pod run on
//! the same nodes, name the same plugin and reasons for each of the others, and write the same message.
//! A difference is shrunk and printed as manifests with both answers. Where it is meant to be, docs/COMPATIBILITY.md
//! says why, and the draws leave it out.
//!
//! `MUSTER_DIFFERENTIAL=1000000` draws so many clusters of each theme, `MUSTER_DIFFERENTIAL_SEED` begins with that
//! seed, `MUSTER_DIFFERENTIAL_THEME` takes one theme.

#[path = "../kubernetes/cluster/binaries.rs"]
#[expect(dead_code, reason = "only the place of the program is of use here")]
mod binaries;
mod case;
mod compare;
mod draw;
mod product;
mod shrink;
mod table;
mod upstream;

use std::collections::BTreeMap;
use std::time::Instant;

use crate::compare::Agreement;
use crate::compare::Outcome;
use crate::draw::Theme;
use crate::upstream::Upstream;

/// Of so few clusters nobody expects every kind of answer.
const FEW: u64 = 100;

/// Clusters of each theme without `MUSTER_DIFFERENTIAL`.
const SHORT: u64 = 1_500;

/// Differences of a theme that are shown.
const SHOWN_MAX: usize = 4;

/// Questions sent before the first of their answers is read.
const AHEAD: u64 = 8;

/// What the clusters of one theme came to.
#[derive(Debug, Default)]
struct Tally {
    gated: u64,
    nowhere: u64,
    somewhere: u64,
    everywhere: u64,
    invalid: u64,
    /// By field.
    not_honoured: BTreeMap<String, u64>,
}

impl Tally {
    fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Same(Agreement::Gated) => self.gated += 1,
            Outcome::Same(Agreement::Nowhere) => self.nowhere += 1,
            Outcome::Same(Agreement::Somewhere) => self.somewhere += 1,
            Outcome::Same(Agreement::Everywhere) => self.everywhere += 1,
            Outcome::Invalid(_) => self.invalid += 1,
            Outcome::NotHonoured(message) => {
                let field = message
                    .split([' ', ':', '('])
                    .find(|word| word.contains('.') || *word == "required");
                *self.not_honoured.entry(field.unwrap_or(&message).to_owned()).or_default() += 1;
            }
            Outcome::Different(_) => {}
        }
    }
}

fn number(variable: &str, otherwise: u64) -> u64 {
    let Ok(text) = std::env::var(variable) else { return otherwise };
    text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}"))
}

/// Compares the clusters of a theme; fails with the first differences, shrunk.
fn compare_all(theme: Theme) -> Option<Tally> {
    if std::env::var("MUSTER_DIFFERENTIAL_THEME").is_ok_and(|only| only != theme.as_str()) {
        return None;
    }
    let mut upstream = Upstream::start()?;
    let first = number("MUSTER_DIFFERENTIAL_SEED", 0);
    let end = first + number("MUSTER_DIFFERENTIAL", SHORT);
    let begun = Instant::now();
    let mut tally = Tally::default();
    let mut differing = Vec::new();
    for seed in first..(first + AHEAD).min(end) {
        upstream.ask(&draw::draw(theme, seed));
    }
    for seed in first..end {
        if seed + AHEAD < end {
            upstream.ask(&draw::draw(theme, seed + AHEAD));
        }
        let case = draw::draw(theme, seed);
        let outcome = compare::compare(&upstream.answer(), &product::judge(&case));
        if matches!(outcome, Outcome::Different(_)) {
            differing.push(seed);
        }
        tally.count(outcome);
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("{}: {} clusters in {seconds:.1} s: {tally:?}", theme.as_str(), end - first);
    let shown = differing.iter().take(SHOWN_MAX);
    let reports: Vec<String> = shown.map(|seed| report(&mut upstream, theme, *seed)).collect();
    assert!(reports.is_empty(), "{} clusters differ:\n{}", differing.len(), reports.join("\n"));
    Some(tally)
}

/// The difference of a seed, shrunk: both answers, the manifests, and how to see it again.
fn report(upstream: &mut Upstream, theme: Theme, seed: u64) -> String {
    let mut outcome =
        |case: &case::Case| compare::compare(&upstream.judge(case), &product::judge(case));
    let drawn = draw::draw(theme, seed);
    // What becomes invalid on the way is refused by both, and is another difference than the one that was found.
    let differs = |outcome| match outcome {
        Outcome::Different(how) => !how.contains("is not valid"),
        Outcome::Same(_) | Outcome::NotHonoured(_) | Outcome::Invalid(_) => false,
    };
    let small = shrink::shrink(&drawn, |case| differs(outcome(case)));
    format!(
        "theme {theme}, seed {seed}: {:?}\nas drawn: {:?}\n{}\nagain: MUSTER_DIFFERENTIAL_SEED={seed} \
         MUSTER_DIFFERENTIAL=1 cargo test --test differential {theme}\n",
        outcome(&small),
        outcome(&drawn),
        small.manifests(),
        theme = theme.as_str(),
    )
}

/// A theme is worth something only if every kind of answer occurs.
fn all_kinds_occur(theme: Theme, tally: &Tally) {
    let judged = tally.nowhere + tally.somewhere + tally.everywhere;
    let enough = tally.nowhere > 0 && tally.somewhere > 0 && tally.everywhere > 0;
    // A field that is refused by name is not compared yet; few clusters are somebody's second look at them.
    assert!(
        enough || judged < FEW || !tally.not_honoured.is_empty(),
        "{theme:?}: of {judged} clusters, one kind of answer never came: {tally:?}"
    );
    assert!(
        tally.invalid * 20 <= judged + tally.invalid,
        "{theme:?}: too many are invalid: {tally:?}"
    );
}

fn theme(theme: Theme) {
    if let Some(tally) = compare_all(theme) {
        all_kinds_occur(theme, &tally);
    }
}

#[test]
fn resources() {
    theme(Theme::Resources);
}

#[test]
fn nodes() {
    theme(Theme::Nodes);
}

#[test]
fn ports() {
    theme(Theme::Ports);
}

#[test]
fn affinity() {
    theme(Theme::Affinity);
}

#[test]
fn spread() {
    theme(Theme::Spread);
}

#[test]
fn volumes() {
    theme(Theme::Volumes);
}

#[test]
fn profiles() {
    theme(Theme::Profiles);
}

#[test]
fn scores() {
    theme(Theme::Scores);
}

#[test]
fn defaults() {
    theme(Theme::Defaults);
}

#[test]
fn nominated() {
    theme(Theme::Nominated);
}

#[test]
fn everything() {
    theme(Theme::Everything);
}
