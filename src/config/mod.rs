//! Floor 7: configuration. The file as written, resolved into the settings structs that live in the rooms they govern.
