//! The query language that selects one version out of those that exist.
