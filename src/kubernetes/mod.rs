//! Floor 8: the rim towards a Kubernetes API: watches become events, orders become requests. Decides nothing.

pub mod apis;
pub mod clients;
pub mod clock;
pub mod driver;
pub mod durations;
pub mod execute;
pub mod noticeboard;
pub mod requests;
pub mod rim;
pub mod traffic;
pub mod translate;
pub mod views;
pub mod watch;
