//! Which APIs of gangs a server has, and whether it has DeviceClasses. CRDs come and go while Muster runs, so this is
//! asked again and again.
//! A server may have an API's group and no PodGroups in it; only the list of its resources counts.
//! Starts and ends no watch: what follows from an answer is for `rim` to do.

use axum::http::Request;
use axum::http::StatusCode;
use kube::core::ApiResource;
use serde_json::Value;

use super::execute::Wire;
use super::requests::NativeVersion;
use super::requests::Reply;
use super::traffic::Purpose;
use super::translate::Kind;
use crate::cluster::facts::GroupSource;

const GROUPS: &str = "podgroups";

/// The APIs that not every server has: PodGroups, the records of their plans, and DeviceClasses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupApis {
    /// The CRD `scheduling.x-k8s.io/v1alpha1`.
    pub coscheduling: bool,
    /// The newest native version that Muster speaks.
    pub native: Option<NativeVersion>,
    /// The records of gangs' plans: the CRD `muster.dev/v1alpha1`.
    pub records: bool,
    /// DeviceClasses, `resource.k8s.io/v1`.
    pub device_classes: bool,
}

impl GroupApis {
    /// Asks the server.
    ///
    /// # Errors
    /// When the server does not answer, or not with a list of resources; the text says what it did.
    pub async fn discover(wire: &Wire) -> Result<Self, String> {
        // At once: who has just been elected binds nothing before it knows.
        let (native, coscheduling, records, device_classes) = tokio::try_join!(
            native_version(wire),
            serves(wire, "scheduling.x-k8s.io/v1alpha1", GROUPS),
            serves(wire, "muster.dev/v1alpha1", "gangplans"),
            serves(wire, "resource.k8s.io/v1", "deviceclasses"),
        )?;
        Ok(Self { coscheduling, native, records, device_classes })
    }
}

async fn native_version(wire: &Wire) -> Result<Option<NativeVersion>, String> {
    for version in [NativeVersion::V1Beta1, NativeVersion::V1Alpha2] {
        if serves(wire, &format!("scheduling.k8s.io/{}", version.as_str()), GROUPS).await? {
            return Ok(Some(version));
        }
    }
    Ok(None)
}

/// The versions in which the server has the API group of the PodGroup CRD, where none of them is the one that Muster
/// reads: somebody has installed another generation of it.
pub async fn other_versions(wire: &Wire) -> Option<String> {
    let request = Request::get("/apis/scheduling.x-k8s.io").body(Vec::new());
    let request = request.expect("the path is constant");
    let Reply::Answered { status, body } = wire.read(Purpose::Discovery, request).await else {
        return None;
    };
    if !status.is_success() {
        return None;
    }
    let versions = body.get("versions").and_then(Value::as_array)?;
    let name = |version: &Value| version.get("version")?.as_str().map(str::to_owned);
    let names: Vec<String> = versions.iter().filter_map(name).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// Whether `group_version` has the resource `plural`; a server that does not know it answers 404.
async fn serves(wire: &Wire, group_version: &str, plural: &str) -> Result<bool, String> {
    let path = format!("/apis/{group_version}");
    let request = Request::get(&path).body(Vec::new()).expect("the path is constant");
    match wire.read(Purpose::Discovery, request).await {
        Reply::Answered { status: StatusCode::NOT_FOUND, .. } => Ok(false),
        Reply::Answered { status, body } if status.is_success() => {
            let resources = body.get("resources").and_then(Value::as_array);
            let is_it =
                |resource: &Value| resource.get("name").and_then(Value::as_str) == Some(plural);
            Ok(resources.is_some_and(|resources| resources.iter().any(is_it)))
        }
        Reply::Answered { status, .. } => Err(format!("GET {path} answers HTTP {status}")),
        Reply::Lost(why) => Err(format!("GET {path}: {why}")),
    }
}

/// A kind as kube addresses it; native PodGroups in the version that `apis` has, else the newest.
pub fn of_kind(kind: Kind, apis: GroupApis) -> ApiResource {
    match kind {
        Kind::Pod => resource("", "v1", "Pod", "pods"),
        Kind::Node => resource("", "v1", "Node", "nodes"),
        Kind::Namespace => resource("", "v1", "Namespace", "namespaces"),
        Kind::Group(GroupSource::Coscheduling) => {
            resource("scheduling.x-k8s.io", "v1alpha1", "PodGroup", "podgroups")
        }
        Kind::Group(GroupSource::Native) => {
            let version = apis.native.unwrap_or(NativeVersion::V1Beta1).as_str();
            resource("scheduling.k8s.io", version, "PodGroup", "podgroups")
        }
        Kind::Record => resource("muster.dev", "v1alpha1", "GangPlan", "gangplans"),
        Kind::Storage(kind) => resource(kind.group(), "v1", kind.kind(), kind.plural()),
        Kind::DeviceClass => resource("resource.k8s.io", "v1", "DeviceClass", "deviceclasses"),
        Kind::Selecting(kind) => resource(kind.group(), "v1", kind.kind(), kind.plural()),
    }
}

fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    let api_version =
        if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version,
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}
