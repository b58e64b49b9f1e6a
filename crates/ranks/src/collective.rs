//! Operations of all ranks, of exchanges.

use crate::{Communicator, Error};

/// All-gather: the bytes of every rank, in the order of the ranks, on each of them. Their lengths may differ.
///
/// # Errors
/// Those of [`Communicator::exchange`].
pub fn all_gather(of: &dyn Communicator, own: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    let ranks = of.ranks();
    let mut gathered: Vec<Vec<u8>> = lengths(of, own.len())?.into_iter().map(|len| vec![0; len]).collect();
    let mut receive: Vec<&mut [u8]> = gathered.iter_mut().map(Vec::as_mut_slice).collect();
    of.exchange(&vec![own; ranks], &mut receive)?;
    gathered[of.rank()].copy_from_slice(own);
    Ok(gathered)
}

/// Broadcast: the bytes of rank `root`, on every rank.
///
/// # Errors
/// Those of [`Communicator::exchange`].
pub fn broadcast(of: &dyn Communicator, root: usize, bytes: Vec<u8>) -> Result<Vec<u8>, Error> {
    let (ranks, is_root) = (of.ranks(), of.rank() == root);
    let len = lengths(of, bytes.len())?[root];
    let send: &[u8] = if is_root { &bytes } else { &[] };
    let mut from_root = if is_root { Vec::new() } else { vec![0; len] };
    let mut receive: Vec<&mut [u8]> = (0..ranks).map(|_| &mut [][..]).collect();
    receive[root] = &mut from_root;
    of.exchange(&vec![send; ranks], &mut receive)?;
    Ok(if is_root { bytes } else { from_root })
}

/// Barrier: returns once every rank has called it.
///
/// # Errors
/// Those of [`Communicator::exchange`].
pub fn barrier(of: &dyn Communicator) -> Result<(), Error> {
    lengths(of, 0).map(|_| ())
}

/// The number of every rank.
fn lengths(of: &dyn Communicator, own: usize) -> Result<Vec<usize>, Error> {
    let ranks = of.ranks();
    let own = (own as u64).to_le_bytes();
    let mut found = vec![own; ranks];
    let mut receive: Vec<&mut [u8]> = found.iter_mut().map(|len| &mut len[..]).collect();
    of.exchange(&vec![&own[..]; ranks], &mut receive)?;
    Ok(found.into_iter().map(|len| u64::from_le_bytes(len) as usize).collect())
}
