//! Every unsafe block of the workspace: one file per kernel area.
