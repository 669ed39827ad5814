//! Rules of policies against real sockets, in network namespaces of their own.

#[cfg(test)]
mod follow;
#[cfg(test)]
mod lab;
#[cfg(test)]
mod live;
#[cfg(test)]
mod many;
#[cfg(test)]
mod reach;
#[cfg(test)]
#[path = "../../../proxy/tests/it/room.rs"]
mod room;
