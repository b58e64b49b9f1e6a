//! The service: through its router, without a socket, and for what only a socket can do wrong, on loopback.

mod answers;
mod faults;
mod given;
mod overload;
mod page;
mod protocol;
mod reload;
mod secured;
