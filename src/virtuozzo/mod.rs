//! The Virtuozzo Application Platform.
//!
//! - [`methods`]: what the platform's 310 methods are called and take, from its API description.

pub mod methods;
