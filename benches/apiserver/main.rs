//! `muster run` against a real kube-apiserver, beside a bare client that sends the same binds and beside
//! kube-scheduler 1.37 with the same pods, in alternating rounds; every measurement begins from the same stored
//! state. Times are the server's own, from its audit log. Needs what `tests/envtest/build` makes, and says so.
//!
//! `cargo bench --bench apiserver` measures `bare` and `peer`; `-- bare`, `-- peer`, `-- shapes`, and `-- takeover`
//! one part. What `shapes` measures is in `shapes.rs`; `-- spread` and the like take one of them.
//! `MUSTER_ROUNDS` (5) and `MUSTER_KILLS` (20; 200 for the long form) say how often. Fails where a target is missed.

mod audit;
mod bare;
#[path = "../../tests/kubernetes/board.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod board;
#[path = "../../tests/kubernetes/cluster/mod.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod cluster;
mod ground;
#[path = "../../tests/kubernetes/instance.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod instance;
mod report;
mod runs;
mod shapes;
mod takeover;
mod usage;

use std::process::ExitCode;

use crate::ground::Ground;
use crate::ground::Load;
use crate::report::Report;
use crate::report::Target;
use crate::runs::Lap;
use crate::shapes::Shape;

/// How often everything is measured.
const ROUNDS: usize = 5;

/// Kills of the short form.
const KILLS: usize = 20;

#[tokio::main]
async fn main() -> ExitCode {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let is_wanted = |part: &str| wanted.as_deref().is_none_or(|wanted| part.contains(wanted));
    let rounds = number("MUSTER_ROUNDS", ROUNDS);
    println!("load of the machine at the start: {}", load_of_machine());
    let mut all_met = true;
    if is_wanted("bare") {
        let Some(report) = beside_the_bare_client(rounds).await else { return ExitCode::SUCCESS };
        all_met &= report.print();
    }
    if is_wanted("peer") {
        let Some(report) = beside_kube_scheduler(rounds).await else { return ExitCode::SUCCESS };
        all_met &= report.print();
    }
    let shapes = wanted.as_deref().map_or_else(Vec::new, Shape::wanted);
    if !shapes.is_empty() {
        let Some(report) = in_shapes(&shapes, rounds).await else { return ExitCode::SUCCESS };
        all_met &= report.print();
    }
    if wanted.as_deref() == Some("takeover") {
        let kills = number("MUSTER_KILLS", KILLS);
        let Some(report) = takeover::measure(kills).await else { return ExitCode::SUCCESS };
        all_met &= report.print();
    }
    println!("load of the machine at the end: {}", load_of_machine());
    if all_met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn number(variable: &str, default: usize) -> usize {
    let given = std::env::var(variable).ok();
    given.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable}: {text}")))
}

/// The averages that Linux shows, over one, five, and fifteen minutes.
fn load_of_machine() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// A gang of 1,000 and 5,000 single pods: `muster run` and the bare client by turns.
async fn beside_the_bare_client(rounds: usize) -> Option<Report> {
    let ground = Ground::prepare(&[Load::Gang, Load::Singles]).await?;
    let mut report = Report::new("beside a bare client");
    for round in 0..rounds {
        let bare = runs::bare(&ground, Load::Gang).await;
        let gang = runs::muster(&ground, Load::Gang, runs::Events::Written).await;
        report.note("gang of 1000, bare client: first POST to last 201", bare.binds());
        report.note("gang of 1000, muster: commit to seal", gang.commit_to_seal());
        report.note("gang of 1000, muster: first POST to last 201", gang.binds());
        report.ratio(
            "gang of 1000: commit to seal, of the bare client's time",
            (gang.commit_to_seal(), bare.binds()),
            Target::AtMost(115),
        );
        if round == 0 {
            println!("writes for a gang of 1000: {}", gang.writes());
        }
        let bare = runs::bare(&ground, Load::Singles).await;
        let singles = runs::muster(&ground, Load::Singles, runs::Events::Written).await;
        let silent = runs::muster(&ground, Load::Singles, runs::Events::Off).await;
        note_singles(&mut report, (&bare, &singles, &silent));
    }
    Some(report)
}

fn note_singles(report: &mut Report, (bare, singles, silent): (&Lap, &Lap, &Lap)) {
    report.note("5000 single pods, bare client: first POST to last 201", bare.binds());
    report.note("5000 single pods, muster: first POST to last 201", singles.binds());
    report.note("5000 single pods, muster: first POST to last event", singles.to_last_event());
    report.ratio(
        "5000 single pods: rate of binds, of the bare client's",
        (bare.binds(), singles.binds()),
        Target::AtLeast(90),
    );
    report.ratio(
        "5000 single pods: rate until the last event, of the bare client's binds",
        (bare.binds(), singles.to_last_event()),
        Target::AtLeast(45),
    );
    let pods = u32::try_from(Load::Singles.pods()).expect("it is small");
    let each = |lap: &Lap| lap.processor / pods;
    report.note("CPU per pod, bare client with its watch", each(bare));
    report.note("CPU per pod, muster with events", each(singles));
    report.limit(
        "CPU per pod, muster without events, its start included",
        each(silent),
        std::time::Duration::from_micros(200),
    );
}

/// 3,000 pods in native gangs of 100 and 5,000 single pods: `muster run` and kube-scheduler by turns.
async fn beside_kube_scheduler(rounds: usize) -> Option<Report> {
    let ground = Ground::prepare(&[Load::Gangs, Load::Singles]).await?;
    let mut report = Report::new("beside kube-scheduler");
    for _ in 0..rounds {
        for (load, name, least) in
            [(Load::Gangs, "30 gangs of 100", 600), (Load::Singles, "5000 single pods", 400)]
        {
            let (ours, theirs) = both(&ground, load).await?;
            report.note(&format!("{name}, muster: start to last bind"), ours.since_start());
            report
                .note(&format!("{name}, kube-scheduler: start to last bind"), theirs.since_start());
            report.ratio(
                &format!("{name}: rate, of kube-scheduler's"),
                (theirs.since_start(), ours.since_start()),
                Target::AtLeast(least),
            );
        }
    }
    Some(report)
}

/// `muster run` and then kube-scheduler, both with events; `None`, having said so, where there is no kube-scheduler.
async fn both(ground: &Ground, load: Load) -> Option<(Lap, Lap)> {
    let ours = runs::muster(ground, load, runs::Events::Written).await;
    let theirs = runs::kube_scheduler(ground, load).await;
    if theirs.is_none() {
        println!("skipped: no kube-scheduler beside the API server");
    }
    Some((ours, theirs?))
}

/// Pods that ask something of each other, on 5,000 nodes: `muster run` and kube-scheduler by turns.
async fn in_shapes(shapes: &[Shape], rounds: usize) -> Option<Report> {
    let loads: Vec<Load> = shapes.iter().copied().map(Load::Shape).collect();
    let ground = Ground::prepare(&loads).await?;
    let mut report = Report::new("3,000 pods of a shape on 5,000 nodes, beside kube-scheduler");
    let pods = u32::try_from(shapes::WAITING).expect("it is small");
    for _ in 0..rounds {
        for shape in shapes {
            let (ours, theirs) = both(&ground, Load::Shape(*shape)).await?;
            let name = shape.name();
            for (who, lap) in [("muster", &ours), ("kube-scheduler", &theirs)] {
                report.note(&format!("{name}, {who}: start to last bind"), lap.since_start());
                report.note(
                    &format!("{name}, {who}: start to last event"),
                    lap.since_start_with_events(),
                );
            }
            report.note(
                &format!("{name}, muster: CPU per pod, its start included"),
                ours.processor / pods,
            );
            report.ratio(
                &format!("{name}: rate to the last bind, of kube-scheduler's"),
                (theirs.since_start(), ours.since_start()),
                Target::AtLeast(500),
            );
            report.ratio(
                &format!("{name}: rate to the last event, of kube-scheduler's"),
                (theirs.since_start_with_events(), ours.since_start_with_events()),
                Target::AtLeast(200),
            );
        }
    }
    Some(report)
}
