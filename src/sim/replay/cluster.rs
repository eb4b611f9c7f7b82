//! The nodes of a replay: a fleet file, made Node objects, made facts, as a real cluster's would be.
//! Has no reader of its own: file and objects are read by the code that serves the playground and `muster run`.
//! A node that cannot be used as it stands ends the replay before it begins.

use crate::cluster::facts::NodeFact;
use crate::engine::event::Event;
use crate::kubernetes::translate::Kind;
use crate::kubernetes::translate::Translator;
use crate::sim::fleet;

/// The nodes that the fleet file `text` describes; `file` is its name, for messages.
///
/// # Errors
/// What is wrong with the file, one line for each problem.
pub fn nodes(file: &str, text: &str) -> Result<Vec<NodeFact>, String> {
    let objects = fleet::read(file, text).map_err(|error| error.to_string())?;
    let mut translator = Translator::new();
    let mut nodes = Vec::with_capacity(objects.len());
    for object in &objects {
        let translated = translator.applied(Kind::Node, object);
        if let Some(complaint) = translated.complaint {
            return Err(format!("{file}: {complaint}"));
        }
        nodes.extend(translated.events.into_iter().filter_map(fact));
    }
    Ok(nodes)
}

fn fact(event: Event) -> Option<NodeFact> {
    let Event::Node(fact) = event else { return None };
    Some(*fact)
}
