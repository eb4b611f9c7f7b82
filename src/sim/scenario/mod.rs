//! Stories: manifests, what is done to them later, and a transcript of what came of it, in one file.
//!
//! The last document of a scenario file says what to do (`for`, `script`, `show`, `include`, `config`) and ends with the
//! key `expect`, the transcript. The run is judged by all checkers after every instant and at its end.
//! Invariant: the same file gives the same transcript, byte for byte.

mod steps;
pub mod transcript;

use std::path::Path;

use serde::Deserialize;

use self::steps::Step;
use self::transcript::{Detail, transcript};
use super::checkers::{Checkers, Promises, Violation};
use super::manifests::error::InputError;
use super::manifests::kind::Kind;
use super::manifests::read::{Document, documents_of, read_paths};
use super::manifests::sort::{Input, sort};
use super::world::{World, WorldSettings};
use crate::base::names::ObjectName;
use crate::base::time::Span;

/// Where the transcript begins in a scenario file.
const EXPECT: &str = "\nexpect: |\n";

/// How long a gang may be bound in part where replies get lost: as long as its binding may take by default.
const PARTIAL_UNDER_FAULTS: Span = Span::seconds(60);

/// The last document of a scenario file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tail {
    /// Ends the run.
    #[serde(default, rename = "for")]
    duration: Option<String>,
    /// What is done while it runs.
    #[serde(default)]
    script: Vec<Step>,
    /// The scheduler's configuration, as a file of it would be.
    #[serde(default)]
    config: Option<String>,
    /// What the transcript shows besides pods.
    #[serde(default)]
    show: Detail,
    /// Further manifests, relative to the scenario's directory.
    #[serde(default)]
    include: Vec<String>,
    /// The transcript.
    #[serde(default)]
    expect: Option<String>,
}

/// A scenario file.
#[derive(Debug)]
pub struct Scenario {
    name: String,
    text: String,
    tail: Tail,
    /// Documents, or what is wrong with them: bad input is a story too.
    documents: Result<Vec<Document>, Vec<InputError>>,
}

impl Scenario {
    /// Reads a scenario file.
    ///
    /// # Errors
    /// What is wrong with its last document or with the files that it includes; the documents before
    /// it are the story's own business.
    pub fn read(file: &Path) -> Result<Self, String> {
        let name = file.file_name().and_then(|name| name.to_str()).ok_or("the file has no name")?;
        let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
        let directory = file.parent().unwrap_or(Path::new("."));
        Self::parse(name, text, directory)
    }

    fn parse(name: &str, text: String, directory: &Path) -> Result<Self, String> {
        let (body, last) = text
            .rsplit_once("\n---\n")
            .ok_or("there is no line --- before the last document, which holds expect")?;
        let tail: Tail =
            serde_saphyr::from_str(last).map_err(|error| format!("last document: {error}"))?;
        let mut documents = documents_of(name, body);
        for include in &tail.include {
            let included = read_paths(&[directory.join(include)], &mut std::io::empty());
            let included = included.map_err(|errors| told(&errors))?;
            if let Ok(documents) = &mut documents {
                documents.extend(included);
            }
        }
        Ok(Self { name: name.to_owned(), tail, documents, text })
    }

    /// The transcript that the file expects.
    pub fn expected(&self) -> &str {
        self.tail.expect.as_deref().unwrap_or_default()
    }

    /// The file's text with `transcript` in place of the one it expects.
    pub fn rewritten(&self, transcript: &str) -> String {
        let head = self.text.rsplit_once(EXPECT).map_or(self.text.trim_end(), |(head, _)| head);
        let mut text = head.to_owned();
        text.push_str(EXPECT);
        for line in transcript.lines() {
            text.push_str(if line.is_empty() { "" } else { "  " });
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    /// Runs the story and returns its transcript.
    ///
    /// # Errors
    /// Every promise that was broken, and every step of the script that could not be done.
    pub fn run(&self) -> Result<String, String> {
        let refused = |errors: &[InputError]| {
            errors.iter().map(|error| format!("refused: {error}\n")).collect::<String>()
        };
        let documents = match &self.documents {
            Ok(documents) => documents.clone(),
            Err(errors) => return Ok(refused(errors)),
        };
        let input = match sort(documents) {
            Ok(input) => input,
            Err(errors) => return Ok(refused(&errors)),
        };
        let (settings, warnings) = match &self.tail.config {
            None => (WorldSettings::default(), Vec::new()),
            Some(text) => match crate::config::read(text) {
                Ok(read) => (WorldSettings::configured(read.configuration), read.warnings),
                Err(error) => return Ok(format!("refused: config: {error}\n")),
            },
        };
        let mut checkers = self.checkers(&input, &settings);
        let mut world = match World::new(input, settings) {
            Ok(world) => world,
            Err(errors) => return Ok(refused(&errors)),
        };
        self.plan(&mut world)?;
        self.play(&mut world, &mut checkers)?;
        let warnings: String =
            warnings.iter().map(|warning| format!("warning: {warning}\n")).collect();
        Ok(warnings + &self.tell(&world))
    }

    fn checkers(&self, input: &Input, settings: &WorldSettings) -> Checkers {
        let faulty = self.tail.script.iter().any(Step::is_fault);
        let promises = Promises {
            partial_for: if faulty { PARTIAL_UNDER_FAULTS } else { Span::ZERO },
            ..Promises::default()
        };
        let names = settings.engine.scheduler_names.iter().map(|name| name.to_string());
        let mut checkers = Checkers::new(names.collect(), promises);
        for (scheduler, profile) in &settings.engine.profiles {
            checkers.overlook(scheduler, profile);
        }
        for pod in given(input) {
            checkers.take_as_given(pod);
        }
        checkers
    }

    fn plan(&self, world: &mut World) -> Result<(), String> {
        for (index, step) in self.tail.script.iter().enumerate() {
            let (after, action) =
                step.action(&self.name).map_err(|problem| format!("script[{index}]: {problem}"))?;
            world.plan(after, action);
        }
        Ok(())
    }

    fn play(&self, world: &mut World, checkers: &mut Checkers) -> Result<(), String> {
        let duration = match &self.tail.duration {
            None => None,
            Some(text) => Some(text.parse::<Span>().map_err(|error| format!("for: {error}"))?),
        };
        let until = duration.map(|duration| world.zero() + duration);
        while world.next_instant().is_some_and(|next| until.is_none_or(|until| next <= until)) {
            world.step();
            let judged = checkers.inspect(world.now(), &world.snapshot());
            judged.map_err(|found| self.broken(world, &found))?;
        }
        if until.is_none() {
            let judged = checkers.conclude(world.now(), &world.snapshot());
            judged.map_err(|found| self.broken(world, &found))?;
        }
        Ok(())
    }

    /// Broken promises with the story so far.
    fn broken(&self, world: &World, violations: &[Violation]) -> String {
        let mut text = self.tell(world);
        for violation in violations {
            text.push_str(&format!("BROKEN at {}: {violation}\n", world.now() - world.zero()));
        }
        text
    }

    fn tell(&self, world: &World) -> String {
        let mut text: String =
            world.remarks().iter().map(|remark| format!("note: {remark}\n")).collect();
        text.push_str(&transcript(world.chronicle().entries(), world.zero(), self.tail.show));
        text.push_str(&ending(world));
        text
    }
}

/// The pods of the input that come with their node.
pub fn given(input: &Input) -> Vec<ObjectName> {
    let comes_with_node = |pod: &serde_json::Value| pod["spec"]["nodeName"].is_string();
    input
        .arriving
        .iter()
        .filter(|arriving| arriving.kind == Kind::Pod && comes_with_node(&arriving.object))
        .map(|arriving| arriving.name.clone())
        .collect()
}

/// The last line: when a pod last changed, and in which phases pods are.
fn ending(world: &World) -> String {
    let result = world.result();
    let mut phases: Vec<(&str, usize)> = Vec::new();
    for pod in &result.pods {
        match phases.iter_mut().find(|(phase, _)| *phase == pod.phase) {
            Some((_, count)) => *count += 1,
            None => phases.push((&pod.phase, 1)),
        }
    }
    phases.sort_unstable();
    let told: Vec<String> =
        phases.iter().map(|(phase, count)| format!("{count} {phase}")).collect();
    let told = if told.is_empty() { "no pods".to_owned() } else { told.join(", ") };
    format!("end at {}: {told}\n", result.end)
}

/// Errors one to a line.
fn told(errors: &[InputError]) -> String {
    errors.iter().map(|error| format!("{error}\n")).collect()
}
