//! The reqwest clients, retries and redaction.
