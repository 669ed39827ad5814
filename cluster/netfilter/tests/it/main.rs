//! What the running kernel makes of it.

#[cfg(test)]
mod kernel;
