//! The spec language: YAML types, spans, validation, JSON Schema.
