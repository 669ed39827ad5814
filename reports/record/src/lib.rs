//! The versioned run.jsonl format.
