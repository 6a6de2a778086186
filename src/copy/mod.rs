//! The copy engine: plan, relay, verification.
