//! Objects of the API as a watch brings them: pods, nodes, PodGroups of both APIs, and GangPlans, alone or as a list.
//! They are translated, told to an engine that decides, and taken away again; every belief survives a recount.

#![no_main]

use libfuzzer_sys::fuzz_mutator;
use libfuzzer_sys::fuzz_target;
use muster::base::time::Span;
use muster::base::time::Time;
use muster::engine::Engine;
use muster::engine::event::Event;
use muster::engine::settings::Settings;
use muster::kubernetes::translate::Kind;
use muster::kubernetes::translate::Translator;
use muster_fuzz::limits;
use muster_fuzz::mutate;
use serde_json::Value;

/// The longest complaint about one object, in bytes: it goes into an event or a log.
const COMPLAINT_MAX: usize = 32 << 10;

fn check(objects: &[(Kind, &Value)]) {
    let start = Time::from_rfc3339("2026-11-02T00:00:00Z").expect("a time");
    let mut engine = Engine::new(Settings::default());
    let (mut translator, mut other) = (Translator::new(), Translator::new());
    for (kind, object) in objects {
        let told = translator.applied(*kind, object);
        assert_eq!(told, other.applied(*kind, object), "the same object means the same");
        let length = told.complaint.as_ref().map_or(0, String::len);
        assert!(length <= COMPLAINT_MAX, "a complaint of {length} bytes");
        told.events.into_iter().for_each(|event| engine.observe(start, event));
    }
    engine.observe(start, Event::Synced);
    engine.decide(start);
    engine.audit().expect("every belief survives a recount");
    let later = start + Span::seconds(9);
    for (kind, object) in objects {
        let told = translator.deleted(*kind, object);
        told.events.into_iter().for_each(|event| engine.observe(later, event));
    }
    engine.decide(later);
    engine.audit().expect("every belief survives a recount");
}

fuzz_target!(|data: &[u8]| {
    let Ok(value) = serde_json::from_slice::<Value>(data) else { return };
    let all = match &value {
        Value::Array(objects) => objects.as_slice(),
        single => std::slice::from_ref(single),
    };
    let objects: Vec<(Kind, &Value)> =
        all.iter().filter_map(|object| Some((Kind::of(object)?, object))).collect();
    limits::within(|| check(&objects));
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::json(data, size, max_size, seed)
});
