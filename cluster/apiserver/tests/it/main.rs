//! The API from outside: in the process, over HTTPS, and as other people's clients see it.

mod echo;
mod http;
mod keep;
mod kubectl;
mod python;
mod scene;
mod semantics;
mod writers;
