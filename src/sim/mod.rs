//! Floor 9: simulated worlds: kubelets, controllers, fleets, arrivals, virtual time. Objects in, writes out.
