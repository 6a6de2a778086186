//! Every path of the web API, once.
