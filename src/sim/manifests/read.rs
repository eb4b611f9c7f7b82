//! From paths to documents: files, directories, and standard input; YAML streams, JSON, and lists.
//!
//! Knows no kind but lists. A directory gives its `.yaml`, `.yml`, and `.json` files in the order of their
//! names, and not those of its sub-directories, as `kubectl apply -f` does.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::error::{Complaint, InputError};
use crate::config::diagnosis;

/// Where an object stands in the input.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The file as the user named it; `-` for standard input.
    pub file: Arc<str>,
    /// The document within the file, from 1; 0 where the whole file is meant.
    pub document: usize,
    /// The item within a list, from 1.
    pub item: Option<usize>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &*self.file {
            "-" => "standard input",
            file => file,
        })?;
        if self.document > 0 {
            write!(f, ": document {}", self.document)?;
        }
        if let Some(item) = self.item {
            write!(f, ", item {item}")?;
        }
        Ok(())
    }
}

/// One object of the input and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Where it stands.
    pub origin: Origin,
    /// The object as written.
    pub object: Value,
}

/// Reads every path in turn; `-` reads `stdin`, once.
///
/// # Errors
/// All files that cannot be read and all documents that cannot be parsed, in order.
pub fn read_paths(
    paths: &[PathBuf],
    stdin: &mut dyn Read,
) -> Result<Vec<Document>, Vec<InputError>> {
    let mut documents = Vec::new();
    let mut errors = Vec::new();
    for path in paths {
        match texts_of(path, stdin) {
            Ok(texts) => {
                for (file, text) in texts {
                    match documents_of(&file, &text) {
                        Ok(found) => documents.extend(found),
                        Err(found) => errors.extend(found),
                    }
                }
            }
            Err(error) => errors.push(*error),
        }
    }
    if errors.is_empty() { Ok(documents) } else { Err(errors) }
}

/// The documents of one text: JSON where its file says so or it can be read as such, else YAML.
///
/// # Errors
/// All documents that cannot be parsed, or that are no object.
pub fn documents_of(file: &str, text: &str) -> Result<Vec<Document>, Vec<InputError>> {
    let file: Arc<str> = file.into();
    let parsed = parsed_documents(&file, text);
    let mut documents = Vec::new();
    let mut errors = Vec::new();
    for (index, parsed) in parsed.into_iter().enumerate() {
        let origin = Origin { file: file.clone(), document: index + 1, item: None };
        match parsed {
            Ok(Value::Null) => {}
            Ok(object) => flatten(Document { origin, object }, &mut documents, &mut errors),
            Err(problem) => errors.push(InputError {
                origin,
                object: String::new(),
                complaint: Complaint {
                    problem,
                    remedy: "mend the syntax; nothing was read from this document".to_owned(),
                    ..Complaint::default()
                },
            }),
        }
    }
    if errors.is_empty() { Ok(documents) } else { Err(errors) }
}

/// The names and texts that a path stands for.
fn texts_of(path: &Path, stdin: &mut dyn Read) -> Result<Vec<(String, String)>, Box<InputError>> {
    let name = path.display().to_string();
    let unreadable = |name: &str, error: &std::io::Error| {
        Box::new(InputError {
            origin: Origin { file: name.into(), document: 0, item: None },
            object: String::new(),
            complaint: Complaint {
                problem: format!("cannot be read: {error}"),
                remedy: "name a file, a directory, or - for standard input".to_owned(),
                ..Complaint::default()
            },
        })
    };
    if name == "-" {
        let mut text = String::new();
        stdin.read_to_string(&mut text).map_err(|error| unreadable(&name, &error))?;
        return Ok(vec![(name, text)]);
    }
    let files = files_of(path).map_err(|error| unreadable(&name, &error))?;
    let mut texts = Vec::new();
    for file in files {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(&file).map_err(|error| unreadable(&name, &error))?;
        texts.push((name, text));
    }
    Ok(texts)
}

/// The path itself, or a directory's manifests sorted by name.
fn files_of(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let file = entry?.path();
        let is_manifest = file
            .extension()
            .and_then(|extension| extension.to_str())
            .is_some_and(|extension| matches!(extension, "yaml" | "yml" | "json"));
        if is_manifest && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(std::io::Error::other("the directory holds no .yaml, .yml, or .json file"));
    }
    Ok(files)
}

/// The documents as values or as what is wrong with each. Text that begins with a brace may be JSON,
/// several objects in a row perhaps, or YAML in flow style, which YAML alone can read.
fn parsed_documents(file: &str, text: &str) -> Vec<Result<Value, String>> {
    let is_json_file = Path::new(file).extension().is_some_and(|extension| extension == "json");
    if is_json_file || text.trim_start().starts_with('{') {
        let parsed = json_stream(text);
        if is_json_file || parsed.iter().all(Result::is_ok) {
            return parsed;
        }
    }
    yaml_stream(text)
}

/// JSON objects one after another. Parsing ends at the first mistake, after which nothing can be trusted.
fn json_stream(text: &str) -> Vec<Result<Value, String>> {
    let mut parsed = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        let failed = value.is_err();
        parsed.push(value.map_err(|error| error.to_string()));
        if failed {
            break;
        }
    }
    parsed
}

/// YAML documents divided by lines that begin with `---`, each parsed on its own, so that a mistake
/// in one is told with its number and does not hide mistakes in the others.
fn yaml_stream(text: &str) -> Vec<Result<Value, String>> {
    let mut parsed = Vec::new();
    let mut start_line = 0;
    let mut document = String::new();
    let mut divided = false;
    for (line_number, line) in text.lines().enumerate() {
        if is_divider(line) {
            // What stands before the first divider is a document only if it says something.
            if divided || !is_blank(&document) {
                parsed.push(yaml_document(&document, start_line));
            }
            divided = true;
            document.clear();
            // Content may follow the divider on its line: `--- {a: b}`.
            document.push_str(line[3..].trim_start());
            document.push('\n');
            start_line = line_number;
        } else {
            document.push_str(line);
            document.push('\n');
        }
    }
    if !is_blank(&document) {
        parsed.push(yaml_document(&document, start_line));
    }
    parsed
}

/// True for `---` alone or followed by white space.
fn is_divider(line: &str) -> bool {
    line.strip_prefix("---")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r']))
}

/// True where there is nothing but blank lines, comments, and directives.
fn is_blank(document: &str) -> bool {
    document.lines().all(|line| {
        let line = line.trim();
        line.is_empty() || line.starts_with('#') || line.starts_with('%') || line == "..."
    })
}

/// Parses one document; lines in messages count from the start of the file.
fn yaml_document(text: &str, start_line: usize) -> Result<Value, String> {
    if is_blank(text) {
        return Ok(Value::Null);
    }
    let options = serde_saphyr::options! {
        // The input is the user's own and may be a dump of a whole cluster.
        budget: None,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let told = diagnosis::of(&error, text);
        match told.at {
            Some((line, _)) => format!("line {}: {}", start_line as u64 + line, told.message),
            None => told.message,
        }
    })
}

/// Replaces a list by its items, which may be lists again.
fn flatten(document: Document, documents: &mut Vec<Document>, errors: &mut Vec<InputError>) {
    let Document { origin, mut object } = document;
    let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
    let is_list = kind.ends_with("List") && object.get("items").is_some_and(Value::is_array);
    if !is_list {
        documents.push(Document { origin, object });
        return;
    }
    let api_version = object.get("apiVersion").cloned().unwrap_or(Value::Null);
    let Some(Value::Array(items)) = object.get_mut("items").map(Value::take) else {
        return;
    };
    let item_kind = kind.strip_suffix("List").expect("checked above");
    for (index, mut item) in items.into_iter().enumerate() {
        let origin = Origin { item: Some(index + 1), ..origin.clone() };
        let Some(fields) = item.as_object_mut() else {
            errors.push(InputError {
                origin,
                object: String::new(),
                complaint: Complaint {
                    field: "items".to_owned(),
                    value: Some(item.to_string()),
                    problem: "not an object".to_owned(),
                    remedy: "write apiVersion, kind, and metadata".to_owned(),
                },
            });
            continue;
        };
        // The items of a typed list, such as a PodList, need not repeat their kind.
        if !item_kind.is_empty() && !fields.contains_key("kind") {
            fields.insert("apiVersion".to_owned(), api_version.clone());
            fields.insert("kind".to_owned(), Value::String(item_kind.to_owned()));
        }
        flatten(Document { origin, object: item }, documents, errors);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        let documents = documents_of("in", text).expect("good input");
        documents
            .iter()
            .map(|document| format!("{} {}", document.origin, document.object["metadata"]["name"]))
            .collect()
    }

    #[test]
    fn documents_are_numbered_as_people_count_them() {
        let text = "# a comment only\n---\nkind: A\nmetadata: {name: a}\n---\n---\nkind: B\nmetadata:\n  name: b\n";
        assert_eq!(names(text), ["in: document 1 \"a\"", "in: document 3 \"b\""]);
        let json =
            "{\"kind\": \"A\", \"metadata\": {\"name\": \"a\"}}\n{\"metadata\": {\"name\": \"b\"}}";
        assert_eq!(names(json), ["in: document 1 \"a\"", "in: document 2 \"b\""]);
    }

    #[test]
    fn a_mistake_is_told_with_its_line_in_the_file_and_hides_no_other() {
        let text = "kind: A\n---\nkind: [B\n---\nkind: C\nkind: D\n";
        let errors = documents_of("in.yaml", text).expect_err("two mistakes");
        let told: Vec<String> = errors.iter().map(InputError::to_string).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("in.yaml: document 2: line "), "{}", told[0]);
        assert!(told[1].starts_with("in.yaml: document 3: line 6"), "{}", told[1]);
        assert!(told[1].contains("duplicate"), "{}", told[1]);
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let errors =
            read_paths(&["no/such.yaml".into()], &mut std::io::empty()).expect_err("no such file");
        let told = errors[0].to_string();
        assert!(told.starts_with("no/such.yaml: cannot be read: "), "{told}");
    }
}
