//! `muster simulate`: manifests in, virtual time, what would be bound, evicted, and refused out.
//! Arguments and printing only. What is noticed on the way goes to stderr, the answer to stdout.
//! Input that an API server would reject ends it before anything runs.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use clap::ValueEnum;
use comfy_table::ContentArrangement;
use comfy_table::Table;
use comfy_table::presets;

use super::Failure;
use crate::base::time::Span;
use crate::sim::manifests::error::Complaint;
use crate::sim::manifests::error::InputError;
use crate::sim::manifests::read::Document;
use crate::sim::manifests::read::read_paths;
use crate::sim::manifests::sort::sort;
use crate::sim::result::Binding;
use crate::sim::result::SimulationResult;
use crate::sim::world::World;
use crate::sim::world::WorldSettings;

/// Say what would be bound, evicted, and refused, and why, from plain Kubernetes manifests in virtual time.
///
/// Nodes are Node objects or a document of kind Fleet (muster.dev/v1alpha1, with `nodes` as in a fleet file).
/// Annotations on pods and PodGroups: muster.dev/arrives-after and muster.dev/runs-for, with durations.
/// Input that an API server would reject ends with exit status 2, and nothing is simulated.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A manifest, a directory of manifests, or - for standard input; may be repeated
    #[arg(short = 'f', long = "filename", value_name = "PATH", required = true, num_args = 1..)]
    paths: Vec<PathBuf>,
    /// End after so much virtual time, such as 90s or 1h30m [default: when nothing more can happen]
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    duration: Option<Span>,
    /// The scheduler's configuration: Muster's own file or a KubeSchedulerConfiguration
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How to print the result
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people, at most 80 columns wide
    Table,
    /// The document `SimulationResult`, for programs
    Json,
}

/// Width of tables; a terminal of any size shows it.
const WIDTH: u16 = 80;

/// The keys of a scenario file's last document.
const SCENARIO_KEYS: [&str; 6] = ["for", "script", "config", "show", "include", "expect"];

/// More input errors than these are counted and not shown.
const ERRORS_SHOWN_MAX: usize = 20;

/// Names listed in one cell before the rest is counted.
const NAMES_SHOWN_MAX: usize = 6;

/// Simulates.
pub(super) fn execute(args: &Args) -> Result<(), Failure> {
    let documents =
        read_paths(&args.paths, &mut io::stdin().lock()).map_err(|errors| refusal(&errors))?;
    let tails: Vec<InputError> = documents.iter().filter_map(tail_of_scenario).collect();
    if !tails.is_empty() {
        return Err(refusal(&tails));
    }
    let input = sort(documents).map_err(|errors| refusal(&errors))?;
    let settings = settings(args)?;
    let mut world = World::new(input, settings).map_err(|errors| refusal(&errors))?;
    world.run(args.duration.map(|duration| world.zero() + duration));
    for remark in world.remarks() {
        eprintln!("note: {remark}");
    }
    let result = world.result();
    // The process ends soon: taking a hundred thousand objects apart one by one would only make the user wait.
    std::mem::forget(world);
    let text = match args.output {
        Output::Table => tables(&result),
        Output::Json => {
            let mut text = serde_json::to_string_pretty(&result)
                .map_err(|error| Failure::CouldNot(format!("cannot print the result: {error}")))?;
            text.push('\n');
            text
        }
    };
    super::answer(&text)
}

/// What to say of a document that is no object but the end of a scenario.
fn tail_of_scenario(document: &Document) -> Option<InputError> {
    let fields = document.object.as_object()?;
    let is_key = |key: &String| SCENARIO_KEYS.contains(&key.as_str());
    if fields.is_empty() || !fields.keys().all(is_key) {
        return None;
    }
    let keys: Vec<&str> = fields.keys().map(String::as_str).collect();
    Some(InputError {
        origin: document.origin.clone(),
        object: String::new(),
        complaint: Complaint {
            problem: format!(
                "is no object but the end of a scenario ({}), which only Muster's tests read",
                keys.join(", ")
            ),
            remedy: "run the scenario with cargo test --test scenarios, or delete this document to simulate the others"
                .to_owned(),
            ..Complaint::default()
        },
    })
}

/// As the configuration has them; what of it has no effect is said on stderr.
fn settings(args: &Args) -> Result<WorldSettings, Failure> {
    let Some(path) = &args.config else { return Ok(WorldSettings::default()) };
    let (name, text) = (path.display(), super::read_text(path)?);
    let resolved = crate::config::read(&text);
    let resolved = resolved.map_err(|error| Failure::BadInput(format!("{name}: {error}")))?;
    for warning in &resolved.warnings {
        eprintln!("{name}: {warning}");
    }
    Ok(WorldSettings::configured(resolved.configuration))
}

fn duration(text: &str) -> Result<Span, String> {
    let span = text.parse::<Span>().map_err(|error| error.to_string())?;
    if span < Span::ZERO { Err("time runs forward: write 0s or more".to_owned()) } else { Ok(span) }
}

/// All that is wrong with the input, one error to a line.
fn refusal(errors: &[InputError]) -> Failure {
    let mut lines: Vec<String> =
        errors.iter().take(ERRORS_SHOWN_MAX).map(InputError::to_string).collect();
    if errors.len() > ERRORS_SHOWN_MAX {
        lines.push(format!("and {} more", errors.len() - ERRORS_SHOWN_MAX));
    }
    lines.push("nothing was simulated".to_owned());
    Failure::BadInput(lines.join("\n       "))
}

/// The result for people: what was bound, what was evicted, what waits, and a summary.
fn tables(result: &SimulationResult) -> String {
    let mut text = String::new();
    let mut bound = table(&["AT", "GANG", "PODS", "NODES"]);
    for batch in batches(&result.bindings) {
        bound.add_row(batch);
    }
    let mut evicted = table(&["AT", "POD", "NODE", "REASON", "FOR"]);
    for eviction in &result.evictions {
        evicted.add_row([
            eviction.at.clone(),
            format!("{}/{}", eviction.namespace, eviction.pod),
            eviction.node.clone(),
            eviction.reason.clone(),
            eviction.beneficiary.clone().unwrap_or_default(),
        ]);
    }
    let mut waiting = table(&["GANG", "PODS", "REASON", "MESSAGE"]);
    for entry in &result.waiting {
        waiting.add_row([
            format!("{}/{}", entry.namespace, entry.gang),
            entry.pods.len().to_string(),
            entry.reason.to_owned(),
            entry.message.clone(),
        ]);
    }
    for (title, table) in [("Bound", bound), ("Evicted", evicted), ("Waiting", waiting)] {
        if table.row_iter().next().is_some() {
            text.push_str(&format!("{title}\n{}\n\n", table.trim_fmt()));
        }
    }
    text.push_str(&summary(result));
    text
}

/// One row for the pods of one gang that were bound in one instant, in the order of the first of each.
fn batches(bindings: &[Binding]) -> Vec<[String; 4]> {
    let mut places: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
    let mut rows: Vec<(&Binding, usize, Vec<&str>)> = Vec::new();
    for binding in bindings {
        let key = (binding.at.as_str(), binding.namespace.as_str(), binding.gang.as_str());
        let place = *places.entry(key).or_insert_with(|| {
            rows.push((binding, 0, Vec::new()));
            rows.len() - 1
        });
        let (_, pods, nodes) = &mut rows[place];
        *pods += 1;
        // Members that share a node mostly follow each other.
        if !nodes.iter().rev().take(NAMES_SHOWN_MAX).any(|node| *node == binding.node) {
            nodes.push(&binding.node);
        }
    }
    rows.into_iter()
        .map(|(first, pods, mut nodes)| {
            nodes.sort_unstable();
            nodes.dedup();
            let gang = format!("{}/{}", first.namespace, first.gang);
            [first.at.clone(), gang, pods.to_string(), some_of(&nodes)]
        })
        .collect()
}

/// The first few names, and how many more there are.
fn some_of(names: &[&str]) -> String {
    let mut text = names.iter().take(NAMES_SHOWN_MAX).copied().collect::<Vec<_>>().join(" ");
    if names.len() > NAMES_SHOWN_MAX {
        text.push_str(&format!(" and {} more", names.len() - NAMES_SHOWN_MAX));
    }
    text
}

fn summary(result: &SimulationResult) -> String {
    let mut phases: BTreeMap<&str, usize> = BTreeMap::new();
    for pod in &result.pods {
        *phases.entry(&pod.phase).or_default() += 1;
    }
    let told: Vec<String> =
        phases.iter().map(|(phase, count)| format!("{count} {phase}")).collect();
    let told = if told.is_empty() { "none".to_owned() } else { told.join(", ") };
    format!("Pods at {}: {told}\n", result.end)
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH)
        .set_header(header.iter().copied());
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::manifests::read::documents_of;
    use crate::sim::result::API_VERSION;
    use crate::sim::result::KIND;
    use crate::sim::result::PodState;
    use crate::sim::result::Waiting;

    fn binding(pod: &str, node: &str) -> Binding {
        Binding {
            at: "0s".to_owned(),
            namespace: "default".to_owned(),
            pod: pod.to_owned(),
            gang: "train".to_owned(),
            node: node.to_owned(),
        }
    }

    #[test]
    fn the_end_of_a_scenario_is_told_from_objects() {
        let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\nfor: 30s\nexpect: |\n  end\n---\n{}\n";
        let documents = documents_of("story.yaml", text).expect("good YAML");
        let told: Vec<String> =
            documents.iter().filter_map(tail_of_scenario).map(|error| error.to_string()).collect();
        let expected = "story.yaml: document 2: is no object but the end of a scenario (for, expect), which only \
                        Muster's tests read; run the scenario with cargo test --test scenarios, or delete this \
                        document to simulate the others";
        assert_eq!(told, [expected]);
    }

    #[test]
    fn tables_fit_a_terminal_of_80_columns() {
        let result = SimulationResult {
            api_version: API_VERSION,
            kind: KIND,
            end: "1m0s".to_owned(),
            bindings: (0..20)
                .map(|number| binding(&format!("train-{number}"), &format!("node-{}", number / 2)))
                .collect(),
            evictions: Vec::new(),
            waiting: vec![Waiting {
                namespace: "research".to_owned(),
                gang: "a-gang-with-quite-a-long-name-as-people-give-them".to_owned(),
                pods: vec!["p".to_owned()],
                reason: "WaitingForMembers",
                message: "0/2 nodes are available: 2 Insufficient nvidia.com/gpu. ".repeat(3),
            }],
            pods: vec![PodState {
                namespace: "default".to_owned(),
                name: "train-0".to_owned(),
                node: None,
                phase: "Pending".to_owned(),
            }],
        };
        let text = tables(&result);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        let row =
            text.lines().find(|line| line.contains("default/train")).expect("a row for the gang");
        assert!(row.contains("20"), "{row}");
        assert!(text.contains("and 4 more"), "{text}");
        assert!(text.ends_with("Pods at 1m0s: 1 Pending\n"), "{text}");
        assert!(!text.contains("Evicted"), "{text}");
    }
}
