//! The controllers, with a real API in the same process, and with nodes and a scheduler that only pretend.

mod running;

mod admission;
mod garbage;
mod namespace;
mod nodes;
mod rollout;
mod services;
