//! Client of the Update Service web API.

pub mod model;
pub mod routes;
