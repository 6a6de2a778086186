//! A server with the Update Service web API.

fn main() {}
