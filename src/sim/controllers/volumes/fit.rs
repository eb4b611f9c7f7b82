//! Whether a volume can serve a claim that is bound at once: size, class, modes, selector, and no node in particular.
//! Follows the PersistentVolume controller, which leaves volumes that only some nodes reach to whoever knows the node.
//! Looks at the two objects alone and changes nothing.

use serde_json::Value;

use super::bytes;
use super::size_of_volume;
use crate::base::labels::LabelSelector;

/// True if `claim` may be bound to `volume`, which is nobody's.
pub(super) fn fits(claim: &Value, volume: &Value) -> bool {
    let (wanted, offered) = (&claim["spec"], &volume["spec"]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let modes = |spec: &Value| spec["accessModes"].as_array().cloned().unwrap_or_default();
    let offered_modes = modes(offered);
    let selected = match wanted.get("selector").filter(|selector| !selector.is_null()) {
        None => true,
        Some(selector) => LabelSelector::from_json(selector)
            .is_ok_and(|selector| selector.matches_json(volume["metadata"].get("labels"))),
    };
    size_of_volume(volume) >= bytes(&wanted["resources"]["requests"]["storage"])
        && text(&wanted["storageClassName"]) == text(&offered["storageClassName"])
        && text(&wanted["volumeMode"]) == text(&offered["volumeMode"])
        && modes(wanted).iter().all(|mode| offered_modes.contains(mode))
        && selected
}
