//! Floor 8: the rim towards a Kubernetes API: watches become events, orders become requests.
//! Decides nothing: what is bound, where, and when, is the engine's.
//! Invariant: an order comes back once, and as done only after an answer or a reading of the object said so.
//! Translation, requests, views, and the noticeboard are pure, so that virtual worlds use the same code.

pub mod apis;
mod barrier;
pub mod clients;
pub mod clock;
pub mod driver;
pub mod durations;
pub mod execute;
pub mod feed;
pub mod lease;
pub mod noticeboard;
pub mod pace;
pub mod recount;
pub mod requests;
pub mod rim;
pub mod traffic;
pub mod translate;
mod versions;
pub mod views;
mod warmth;
pub mod watch;
pub mod watch_line;
