//! A proxy's rules against real sockets, in network namespaces of their own.

#[cfg(test)]
mod follow;
#[cfg(test)]
mod lab;
#[cfg(test)]
mod many;
#[cfg(test)]
mod reach;
#[cfg(test)]
mod room;
