//! Versions: `Major.Minor[.Patch[.Revision]][-suffix][+metadata]` and their precedence.
