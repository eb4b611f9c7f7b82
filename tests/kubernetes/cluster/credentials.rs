//! Who may speak to the API server: one token each, RBAC decides what they may do. Also the other files that the
//! server reads at start, and how clients find it.

use std::path::Path;

use kube::Client;
use kube::Config;
use kube::config::KubeConfigOptions;
use kube::config::Kubeconfig;

/// File of the tokens.
pub(crate) const TOKENS: &str = "tokens.csv";

/// File that says which requests are written to `audit.log`.
pub(crate) const AUDIT_POLICY: &str = "audit-policy.yaml";

/// Each bind with its answer, so that a test can count how often a pod was bound.
const AUDITED: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Metadata, verbs: [create], resources: [{group: '', resources: [pods/binding]}]}
- {level: None}
";

/// Somebody whom the API server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum User {
    /// May do everything.
    Administrator,
    /// Muster's service account; may do what `deploy/` gives it.
    Muster,
    /// The same account with another token and uid, by which the audit log tells two instances apart.
    OtherMuster,
}

impl User {
    const ALL: [Self; 3] = [Self::Administrator, Self::Muster, Self::OtherMuster];

    /// As the server's log and error messages name them.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Muster | Self::OtherMuster => "system:serviceaccount:muster-system:muster",
        }
    }

    const fn groups(self) -> &'static str {
        match self {
            Self::Administrator => "system:masters",
            Self::Muster | Self::OtherMuster => {
                "system:serviceaccounts,system:serviceaccounts:muster-system"
            }
        }
    }

    /// Also the name of their kubeconfig.
    pub(crate) const fn token(self) -> &'static str {
        match self {
            Self::Administrator => "token-of-the-administrator",
            Self::Muster => "token-of-muster",
            Self::OtherMuster => "token-of-the-other-muster",
        }
    }
}

/// Writes what the API server reads at start.
pub(crate) fn write(home: &Path, audit_policy: Option<&str>) {
    let mut tokens = String::new();
    for user in User::ALL {
        let (token, name, groups) = (user.token(), user.name(), user.groups());
        tokens.push_str(&format!("{token},{name},uid-of-{token},\"{groups}\"\n"));
    }
    let policy = audit_policy.unwrap_or(AUDITED);
    for (file, text) in [(TOKENS, tokens.as_str()), (AUDIT_POLICY, policy)] {
        std::fs::write(home.join(file), text).expect("the folder for data can be written");
    }
}

/// A kubeconfig for `user`, as text.
pub(crate) fn kubeconfig(address: &str, home: &Path, user: User) -> String {
    let authority = home.join("certificates/apiserver.crt");
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
         clusters: [{{name: test, cluster: {{server: '{address}', certificate-authority: '{}'}}}}]\n\
         users: [{{name: test, user: {{token: {}}}}}]\n\
         contexts: [{{name: test, context: {{cluster: test, user: test}}}}]\n",
        authority.display(),
        user.token()
    )
}

/// A client for `user`.
pub(crate) async fn client(address: &str, home: &Path, user: User) -> Client {
    let text = kubeconfig(address, home, user);
    let file = Kubeconfig::from_yaml(&text).expect("it is written here");
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(file, &options).await;
    let mut config = config.expect("it names all that is needed");
    config.default_retry = false;
    Client::try_from(config).expect("the certificate can be read")
}
