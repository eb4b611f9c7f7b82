//! Seeded properties of the believed cluster and the planner, against plain code that shares nothing with
//! them: brute force over tiny clusters, scans over all nodes, recounts. A failure prints its seed.

mod beside;
mod brute;
mod choice;
mod feasibility;
mod floats;
mod hints;
mod relations;
mod state;
mod unrelated;
mod volumes;
mod world;
