//! A folder on disk, walked to its depths.

use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::links::MAX_LINKED_FOLDERS;
use crate::listing::{Listing, shown};
use crate::path::{InnerPath, MAX_DEPTH, is_hidden, is_image};
use crate::store::Location;
use crate::{Error, OpenOptions};

/// A folder to be read.
struct Pending {
    path: PathBuf,
    inside: InnerPath,
    /// Place without links.
    real: PathBuf,
    links: Option<Rc<Followed>>,
}

/// The folder in which a link was followed, and those before it.
struct Followed {
    real: PathBuf,
    before: Option<Rc<Followed>>,
}

/// A walk through a folder.
struct Walk {
    listing: Listing,
    pending: Vec<Pending>,
    followed: usize,
}

pub(crate) fn list_folder(root: &Path, options: &OpenOptions) -> Result<Listing, Error> {
    let real = root.canonicalize().map_err(|source| Error::io(root, source))?;
    let first = Pending { path: root.into(), inside: InnerPath::default(), real, links: None };
    let listing = Listing::new(shown(root), options);
    let mut walk = Walk { listing, pending: vec![first], followed: 0 };
    while let Some(folder) = walk.pending.pop() {
        match fs::read_dir(&folder.path) {
            Ok(entries) => {
                for entry in entries {
                    match entry {
                        Ok(entry) => walk.entry(&folder, &entry)?,
                        Err(source) => walk.listing.fault(Error::io(&folder.path, source))?,
                    }
                }
            }
            // Without the folder that was named there is nothing.
            Err(source) if folder.inside.depth() == 0 => return Err(Error::io(&folder.path, source)),
            Err(source) => walk.listing.fault(Error::io(&folder.path, source))?,
        }
    }
    Ok(walk.listing)
}

impl Walk {
    fn entry(&mut self, folder: &Pending, entry: &DirEntry) -> Result<(), Error> {
        let name = entry.file_name();
        let inside = folder.inside.clone().joined(name.as_encoded_bytes());
        let path = entry.path();
        let mut kind = match entry.file_type() {
            Ok(kind) => kind,
            Err(source) => return self.listing.fault(Error::io(path, source)),
        };
        let is_link = kind.is_symlink();
        if is_hidden(name.as_encoded_bytes()) && !kind.is_file() {
            return Ok(());
        }
        if is_link {
            kind = match fs::metadata(&path) {
                Ok(target) => target.file_type(),
                Err(source) => {
                    let target = fs::read_link(&path).unwrap_or_default();
                    let error = Error::DeadLink {
                        link: shown(&path),
                        target: shown(&target),
                        reason: source.to_string(),
                    };
                    return self.listing.dead_link(&inside, error);
                }
            };
        }
        if kind.is_file() {
            return self.listing.add_file(inside, Location::File(path));
        }
        if kind.is_dir() {
            return self.folder(folder, path, inside, is_link);
        }
        if !is_image(name.as_encoded_bytes()) {
            return Ok(());
        }
        let kind = residual_files::special_kind(kind);
        self.listing.fault(Error::NotRegular { path, kind })
    }

    fn folder(
        &mut self,
        above: &Pending,
        path: PathBuf,
        inside: InnerPath,
        is_link: bool,
    ) -> Result<(), Error> {
        self.listing.add_folder(inside.clone())?;
        if inside.depth() > MAX_DEPTH {
            return Ok(());
        }
        let mut links = above.links.clone();
        let mut real = above.real.join(path.file_name().unwrap_or_default());
        if is_link {
            real = match path.canonicalize() {
                Ok(real) => real,
                Err(source) => return self.listing.fault(Error::io(path, source)),
            };
            links = Some(Rc::new(Followed { real: above.real.clone(), before: links }));
            if leads_back(&real, links.as_deref()) {
                self.listing.link_loop(&inside);
                return Ok(());
            }
            self.followed += 1;
        } else if links.is_some() {
            self.followed += 1;
        }
        if self.followed > MAX_LINKED_FOLDERS {
            return Err(Error::TooManyLinks { path: self.listing.origin.clone() });
        }
        self.listing.charge((path.as_os_str().len() + real.as_os_str().len()) as u64)?;
        self.pending.push(Pending { path, inside, real, links });
        Ok(())
    }
}

/// Test for a folder that is one of those on the way to it.
fn leads_back(real: &Path, mut links: Option<&Followed>) -> bool {
    while let Some(link) = links {
        if link.real.starts_with(real) {
            return true;
        }
        links = link.before.as_deref();
    }
    false
}
