//! What Muster logs as a warning or an error while something runs: in a world without faults it must be nothing.
//! Knows only levels and texts; everything else that is logged passes unread.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::Mutex;

use tracing::Event;
use tracing::Level;
use tracing::Metadata;
use tracing::Subscriber;
use tracing::field::Field;
use tracing::field::Visit;
use tracing::span;

/// Hears complaints.
struct Ear {
    heard: Arc<Mutex<Vec<String>>>,
}

/// The warnings and errors that `work` logs on this thread, and what it returns.
pub(crate) fn of<R>(work: impl FnOnce() -> R) -> (Vec<String>, R) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = Ear { heard: Arc::clone(&heard) };
    let result = tracing::subscriber::with_default(ear, work);
    let heard = heard.lock().expect("one thread").clone();
    (heard, result)
}

impl Subscriber for Ear {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN && metadata.target().starts_with("muster")
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut text = Text(event.metadata().level().to_string());
        event.record(&mut text);
        self.heard.lock().expect("one thread").push(text.0);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

#[test]
fn a_warning_is_heard_and_what_is_no_complaint_is_not() {
    let (heard, result) = of(|| {
        tracing::info!(target: "muster::kubernetes", "all is well");
        tracing::warn!(target: "muster::kubernetes", pod = "a", "not done");
        7
    });
    assert_eq!((heard.len(), result), (1, 7));
    assert!(heard[0].contains("not done") && heard[0].contains("pod=\"a\""), "{heard:?}");
}
