//! The command line, through the binary: what it prints, where, and how it exits.

mod bad_input;
mod bench;
mod doctor;
mod explain;
mod found;
mod help;
mod hostile;
mod inspect;
mod interrupt;
mod networks;
mod pages;
mod predict;
mod study;
mod toy;
mod training;
mod verify;
mod weights;
