//! A `KubeSchedulerConfiguration` of `kubescheduler.config.k8s.io/v1` as written: every field that kube-scheduler
//! 1.37 knows and no other, each value with its place in the file. No defaults, no limits, no meaning: both are for
//! `resolve`. Arguments of plugins are kept as they are until the plugin's name has told their form.

use serde::Deserialize;
use serde_json::Value;

use crate::config::file::Given;

/// `apiVersion` of the file.
pub const API_VERSION: &str = "kubescheduler.config.k8s.io/v1";

/// `kind` of the file.
pub const KIND: &str = "KubeSchedulerConfiguration";

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "names and meanings are those of kube-scheduler's configuration")]
pub struct KubeSchedulerConfiguration {
    pub api_version: Given<String>,
    pub kind: Given<String>,
    pub parallelism: Given<i64>,
    pub leader_election: Option<LeaderElection>,
    pub client_connection: Option<ClientConnection>,
    pub enable_profiling: Given<bool>,
    pub enable_contention_profiling: Given<bool>,
    pub percentage_of_nodes_to_score: Given<i64>,
    pub pod_initial_backoff_seconds: Given<i64>,
    pub pod_max_backoff_seconds: Given<i64>,
    pub profiles: Option<Vec<Profile>>,
    pub extenders: Given<Vec<Value>>,
    pub delay_cache_until_active: Given<bool>,
}

/// Which of several processes leads.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "names and meanings are those of kube-scheduler's configuration")]
pub struct LeaderElection {
    pub leader_elect: Given<bool>,
    pub lease_duration: Given<String>,
    pub renew_deadline: Given<String>,
    pub retry_period: Given<String>,
    pub resource_lock: Given<String>,
    pub resource_name: Given<String>,
    pub resource_namespace: Given<String>,
}

/// How the API server is reached.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "names and meanings are those of kube-scheduler's configuration")]
pub struct ClientConnection {
    pub kubeconfig: Given<String>,
    pub accept_content_types: Given<String>,
    pub content_type: Given<String>,
    pub qps: Given<Value>,
    pub burst: Given<i64>,
}

/// The plugins for pods that name one scheduler.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "names and meanings are those of kube-scheduler's configuration")]
pub struct Profile {
    pub scheduler_name: Given<String>,
    pub percentage_of_nodes_to_score: Given<i64>,
    pub plugins: Option<Plugins>,
    pub plugin_config: Option<Vec<PluginConfig>>,
}

/// Plugins by extension point.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[allow(missing_docs, reason = "names and meanings are those of kube-scheduler's configuration")]
pub struct Plugins {
    pub pre_enqueue: PluginSet,
    pub queue_sort: PluginSet,
    pub pre_filter: PluginSet,
    pub filter: PluginSet,
    pub post_filter: PluginSet,
    pub pre_score: PluginSet,
    pub score: PluginSet,
    pub reserve: PluginSet,
    pub permit: PluginSet,
    pub pre_bind: PluginSet,
    pub bind: PluginSet,
    pub post_bind: PluginSet,
    pub multi_point: PluginSet,
    pub placement_generate: PluginSet,
    pub placement_score: PluginSet,
    pub pod_group_post_filter: PluginSet,
}

/// What is added to the default plugins of a point, and what is taken away.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[allow(missing_docs, reason = "names and meanings are those of kube-scheduler's configuration")]
pub struct PluginSet {
    pub enabled: Vec<Plugin>,
    pub disabled: Vec<Plugin>,
}

/// A plugin by name; `*` stands for all, where plugins are taken away.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "names and meanings are those of kube-scheduler's configuration")]
pub struct Plugin {
    pub name: serde_saphyr::Spanned<String>,
    pub weight: Given<i64>,
}

/// Arguments of a plugin.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "names and meanings are those of kube-scheduler's configuration")]
pub struct PluginConfig {
    pub name: serde_saphyr::Spanned<String>,
    pub args: Option<Value>,
}

impl Plugins {
    /// The sets by the names of their points.
    pub fn points(&self) -> [(&'static str, &PluginSet); 16] {
        [
            ("preEnqueue", &self.pre_enqueue),
            ("queueSort", &self.queue_sort),
            ("preFilter", &self.pre_filter),
            ("filter", &self.filter),
            ("postFilter", &self.post_filter),
            ("preScore", &self.pre_score),
            ("score", &self.score),
            ("reserve", &self.reserve),
            ("permit", &self.permit),
            ("preBind", &self.pre_bind),
            ("bind", &self.bind),
            ("postBind", &self.post_bind),
            ("multiPoint", &self.multi_point),
            ("placementGenerate", &self.placement_generate),
            ("placementScore", &self.placement_score),
            ("podGroupPostFilter", &self.pod_group_post_filter),
        ]
    }
}
