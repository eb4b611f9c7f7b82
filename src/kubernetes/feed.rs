//! Feeds: collections of an API server as JSON values, for programs that act as part of a cluster (simulated
//! kubelets) rather than on it. Lists first, then watches; after any trouble it waits, longer each time.
//! Knows nothing of what is fed. Invariant: what was seen and is gone is told as gone, also if it went while
//! nothing could be watched.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::pin::pin;

use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::Client;
use kube::Resource;
use kube::core::ApiResource;
use kube::core::DynamicResourceScope;
use kube::runtime::watcher;
use serde::Deserialize;
use serde::Deserializer;
use serde_json::Value;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::debug;
use tracing::warn;

use super::watch::Pause;
use super::watch::must_list_anew;

/// What a feed tells of one object.
#[derive(Clone, Debug, PartialEq)]
pub enum Fed {
    /// The object as it is now, with `apiVersion` and `kind`.
    Present(Value),
    /// It is gone; what is left to say of it: `apiVersion`, `kind`, and `metadata` with name, namespace, and uid.
    Gone(Value),
    /// Everything that exists has been told, for the first time or again.
    Complete,
}

/// A collection and where its objects go.
#[derive(Debug)]
pub struct Feed<K> {
    /// The collection.
    pub resource: ApiResource,
    /// Objects of which only some are wanted: a field selector.
    pub fields: Option<&'static str>,
    /// What the receiver calls it.
    pub kind: K,
    /// Where the objects go; waits while the receiver is behind.
    pub to: mpsc::Sender<(K, Fed)>,
}

/// An object as kube's watcher wants it, and as it came.
#[derive(Clone, Debug)]
struct Raw {
    metadata: ObjectMeta,
    value: Value,
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let text = |field: &str| value["metadata"][field].as_str().map(str::to_owned);
        // The watcher looks at the version and nothing else.
        let metadata =
            ObjectMeta { resource_version: text("resourceVersion"), ..ObjectMeta::default() };
        Ok(Self { metadata, value })
    }
}

impl Resource for Raw {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(of: &ApiResource) -> Cow<'_, str> {
        of.kind.as_str().into()
    }
    fn group(of: &ApiResource) -> Cow<'_, str> {
        of.group.as_str().into()
    }
    fn version(of: &ApiResource) -> Cow<'_, str> {
        of.version.as_str().into()
    }
    fn api_version(of: &ApiResource) -> Cow<'_, str> {
        of.api_version.as_str().into()
    }
    fn plural(of: &ApiResource) -> Cow<'_, str> {
        of.plural.as_str().into()
    }
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// What was told of each object, by namespace and name: what can be said of it once it is gone.
type Told = BTreeMap<(String, String), Value>;

impl<K: Copy + std::fmt::Debug> Feed<K> {
    /// Feeds until nobody receives any more.
    pub async fn run(self, client: Client) {
        let api: Api<Raw> = Api::all_with(client, &self.resource);
        let config = watcher::Config {
            field_selector: self.fields.map(str::to_owned),
            ..watcher::Config::default()
        };
        let spread = self.resource.plural.bytes().map(u64::from).sum();
        let mut pause = Pause::seeded(spread);
        let mut told = Told::new();
        while !self.to.is_closed() {
            let mut stream = pin!(watcher(api.clone(), config.clone()));
            let mut listed = Told::new();
            while let Some(event) = stream.next().await {
                let error = match event {
                    Ok(event) => {
                        if self.tell(event, &mut told, &mut listed).await.is_err() {
                            return;
                        }
                        continue;
                    }
                    Err(error) => error,
                };
                self.note(&error);
                tokio::time::sleep(pause.next(Instant::now())).await;
                if must_list_anew(&error) || matches!(error, watcher::Error::WatchStartFailed(_)) {
                    break;
                }
            }
        }
    }

    /// An API that is not served is no trouble: it may come later.
    fn note(&self, error: &watcher::Error) {
        let kind = &self.resource.kind;
        match error {
            watcher::Error::InitialListFailed(kube::Error::Api(status)) if status.code == 404 => {
                debug!(kind, api = self.resource.api_version, "not served");
            }
            watcher::Error::InitialListFailed(_)
            | watcher::Error::WatchStartFailed(_)
            | watcher::Error::WatchError(_)
            | watcher::Error::WatchFailed(_)
            | watcher::Error::NoResourceVersion => {
                warn!(kind, %error, "cannot be listed or watched; it is tried again")
            }
        }
    }

    async fn tell(
        &self,
        event: watcher::Event<Raw>,
        told: &mut Told,
        listed: &mut Told,
    ) -> Result<(), mpsc::error::SendError<(K, Fed)>> {
        match event {
            watcher::Event::Init => listed.clear(),
            watcher::Event::InitApply(raw) => {
                let value = self.typed(raw.value);
                listed.insert(key(&value), remainder(&value));
                self.present(value, told).await?;
            }
            watcher::Event::InitDone => {
                for (_, gone) in std::mem::replace(told, std::mem::take(listed)) {
                    if !told.contains_key(&key(&gone)) {
                        self.send(Fed::Gone(gone)).await?;
                    }
                }
                self.send(Fed::Complete).await?;
            }
            watcher::Event::Apply(raw) => {
                let value = self.typed(raw.value);
                self.present(value, told).await?;
            }
            watcher::Event::Delete(raw) => {
                let value = self.typed(raw.value);
                told.remove(&key(&value));
                self.send(Fed::Gone(remainder(&value))).await?;
            }
        }
        Ok(())
    }

    /// Tells of an object, and first of the end of another that had its name.
    async fn present(
        &self,
        value: Value,
        told: &mut Told,
    ) -> Result<(), mpsc::error::SendError<(K, Fed)>> {
        let left = remainder(&value);
        if let Some(before) = told.insert(key(&value), left.clone())
            && before != left
        {
            self.send(Fed::Gone(before)).await?;
        }
        self.send(Fed::Present(value)).await
    }

    async fn send(&self, fed: Fed) -> Result<(), mpsc::error::SendError<(K, Fed)>> {
        self.to.send((self.kind, fed)).await
    }

    /// Items of a list leave their type out.
    fn typed(&self, mut value: Value) -> Value {
        value["apiVersion"] = self.resource.api_version.as_str().into();
        value["kind"] = self.resource.kind.as_str().into();
        value
    }
}

fn key(value: &Value) -> (String, String) {
    let text = |field: &str| value["metadata"][field].as_str().unwrap_or_default().to_owned();
    (text("namespace"), text("name"))
}

fn remainder(value: &Value) -> Value {
    let metadata = &value["metadata"];
    json!({
        "apiVersion": value["apiVersion"],
        "kind": value["kind"],
        "metadata": {"namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, uid: &str) -> Raw {
        serde_json::from_value(json!({"metadata": {"name": name, "namespace": "a", "uid": uid}}))
            .expect("any object")
    }

    #[tokio::test]
    async fn what_went_while_nobody_watched_is_told_as_gone() {
        let (to, mut from) = mpsc::channel(64);
        let resource = ApiResource {
            group: String::new(),
            version: "v1".into(),
            api_version: "v1".into(),
            kind: "Pod".into(),
            plural: "pods".into(),
        };
        let feed = Feed { resource, fields: None, kind: 7, to };
        let (mut told, mut listed) = (Told::new(), Told::new());
        for event in [
            watcher::Event::Init,
            watcher::Event::InitApply(pod("stays", "1")),
            watcher::Event::InitApply(pod("goes", "2")),
            watcher::Event::InitApply(pod("comes-back", "3")),
            watcher::Event::InitDone,
            // The second list: one is missing, and one is another of the same name.
            watcher::Event::Init,
            watcher::Event::InitApply(pod("stays", "1")),
            watcher::Event::InitApply(pod("comes-back", "4")),
            watcher::Event::InitDone,
            watcher::Event::Delete(pod("stays", "1")),
        ] {
            feed.tell(event, &mut told, &mut listed).await.expect("somebody receives");
        }
        drop(feed);
        let mut heard = Vec::new();
        while let Some((kind, fed)) = from.recv().await {
            assert_eq!(kind, 7);
            heard.push(match fed {
                Fed::Present(value) => format!("+{}", value["metadata"]["uid"]),
                Fed::Gone(value) => format!("-{}", value["metadata"]["uid"]),
                Fed::Complete => ".".to_owned(),
            });
        }
        let expected = [
            "+\"1\"", "+\"2\"", "+\"3\"", ".", "+\"1\"", "-\"3\"", "+\"4\"", "-\"2\"", ".",
            "-\"1\"",
        ];
        assert_eq!(heard, expected);
    }
}
