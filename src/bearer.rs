//! The process-wide bearer cache: one exchange in flight a key.
