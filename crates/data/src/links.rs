//! Members of an archive, and the links among them followed as if it were unpacked.

use std::collections::{BTreeMap, BTreeSet};

use crate::Error;
use crate::listing::Listing;
use crate::path::{InnerPath, is_image, is_record_file};
use crate::store::Location;

/// The most folders that are reached through links: a few links that point at each other make millions of paths.
pub(crate) const MAX_LINKED_FOLDERS: usize = 100_000;

/// The most links in a row, as in Linux.
const MAX_HOPS: usize = 40;
/// The most bytes of a link's target, as in Linux.
const MAX_TARGET: usize = 4096;
/// The most steps that following all links of an archive may take.
const MAX_STEPS: usize = 50_000_000;
/// Bytes that are kept of a member beside its name.
const PER_MEMBER: u64 = 150;

/// Member of an archive.
#[derive(Debug)]
pub(crate) enum Member {
    File(Location),
    Folder,
    Link(Link),
    /// Something that is not read: what it is.
    Unread(String),
}

/// A link to another member.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) target: Vec<u8>,
    /// Symbolic: from the folder that it is in. Otherwise hard: from the top.
    pub(crate) symbolic: bool,
}

/// Target of a link, if it does not lead to a member.
enum Lost {
    Outside,
    Missing,
    Circle,
    TooLong,
}

impl Lost {
    fn reason(&self) -> &'static str {
        match self {
            Self::Outside => "it leads out of the archive",
            Self::Missing => "there is none in the archive",
            Self::Circle => "it leads in a circle",
            Self::TooLong => "no file system has so long a link",
        }
    }
}

/// The members of an archive, by path.
#[derive(Debug, Default)]
pub(crate) struct Members {
    nodes: BTreeMap<InnerPath, Member>,
}

/// A folder whose members are to be listed under another name.
struct Expansion {
    shown: InnerPath,
    real: InnerPath,
    /// The links that were followed on the way.
    links: Vec<InnerPath>,
}

/// The listing of members, under way.
struct Following<'a> {
    nodes: &'a BTreeMap<InnerPath, Member>,
    listing: &'a mut Listing,
    pending: Vec<Expansion>,
    /// Files that are needed, but were not kept.
    wanted: BTreeSet<InnerPath>,
    expansions: usize,
    steps: usize,
}

impl Members {
    /// Notes a member. Of two of one name the later counts, as when an archive is unpacked.
    pub(crate) fn add(
        &mut self,
        listing: &mut Listing,
        path: InnerPath,
        member: Member,
    ) -> Result<(), Error> {
        let target = if let Member::Link(link) = &member { link.target.len() } else { 0 };
        listing.charge(PER_MEMBER + (path.bytes() + target) as u64)?;
        self.nodes.insert(path, member);
        Ok(())
    }

    /// Lists all members, those behind links too. Returned are files that were not kept and are needed after all,
    /// since a link gives them the name of an image.
    pub(crate) fn list(&self, listing: &mut Listing) -> Result<BTreeSet<InnerPath>, Error> {
        let top = Expansion { shown: InnerPath::default(), real: InnerPath::default(), links: Vec::new() };
        let mut following = Following {
            nodes: &self.nodes,
            listing,
            pending: vec![top],
            wanted: BTreeSet::new(),
            expansions: 0,
            steps: 0,
        };
        while let Some(expansion) = following.pending.pop() {
            following.expand(&expansion)?;
        }
        Ok(following.wanted)
    }
}

impl Following<'_> {
    fn expand(&mut self, expansion: &Expansion) -> Result<(), Error> {
        let nodes = self.nodes;
        let depth = expansion.real.depth();
        for (real, member) in
            nodes.range(&expansion.real..).take_while(|(path, _)| path.is_within(&expansion.real))
        {
            self.step()?;
            let shown = match depth {
                0 => real.clone(),
                depth => expansion.shown.clone().followed_by(real.parts().skip(depth)),
            };
            match member {
                Member::Link(_) => self.link(shown, real, &expansion.links)?,
                member => self.member(shown, real, member)?,
            }
        }
        Ok(())
    }

    /// Lists what is no link, and is called `shown`.
    fn member(&mut self, shown: InnerPath, real: &InnerPath, member: &Member) -> Result<(), Error> {
        match member {
            Member::File(location) => {
                let needed = is_image(shown.last()) || is_record_file(shown.last());
                if matches!(location, Location::Skipped) && needed && !shown.is_hidden() {
                    self.wanted.insert(real.clone());
                }
                self.listing.add_file(shown, location.clone())
            }
            Member::Folder => self.listing.add_folder(shown),
            Member::Unread(kind) if is_image(shown.last()) && !shown.is_hidden() => {
                let file = format!("{}: {shown}", self.listing.origin);
                self.listing.fault(Error::UnreadMember { file, kind: kind.clone() })
            }
            Member::Unread(_) | Member::Link(_) => Ok(()),
        }
    }

    fn link(&mut self, shown: InnerPath, real: &InnerPath, links: &[InnerPath]) -> Result<(), Error> {
        if shown.is_hidden() {
            return Ok(());
        }
        let target = match self.resolve(real)? {
            Ok(target) => target,
            Err(lost) => {
                let Some(Member::Link(link)) = self.nodes.get(real) else { return Ok(()) };
                let error = Error::DeadLink {
                    link: format!("{}: {shown}", self.listing.origin),
                    target: residual_files::escaped_bytes(&link.target).to_string(),
                    reason: lost.reason().to_owned(),
                };
                return self.listing.dead_link(&shown, error);
            }
        };
        match self.nodes.get(&target) {
            Some(member @ (Member::File(_) | Member::Unread(_))) => self.member(shown, &target, member),
            _ => self.folder(shown, real, target, links),
        }
    }

    /// A link to a folder: its members are listed later.
    fn folder(
        &mut self,
        shown: InnerPath,
        real: &InnerPath,
        target: InnerPath,
        links: &[InnerPath],
    ) -> Result<(), Error> {
        let followed = || links.iter().chain([real]);
        if followed().any(|link| link.is_within(&target)) {
            self.listing.link_loop(&shown);
            return Ok(());
        }
        self.expansions += 1;
        if self.expansions > MAX_LINKED_FOLDERS {
            return Err(self.too_many());
        }
        self.listing.add_folder(shown.clone())?;
        self.listing.charge(followed().map(|link| PER_MEMBER + link.bytes() as u64).sum())?;
        self.pending.push(Expansion { shown, real: target, links: followed().cloned().collect() });
        Ok(())
    }

    /// The member, or the folder, that the link at `from` leads to.
    fn resolve(&mut self, from: &InnerPath) -> Result<Result<InnerPath, Lost>, Error> {
        let nodes = self.nodes;
        let mut at = from.parent().unwrap_or_default();
        let mut todo: Vec<&[u8]> = vec![from.last()];
        let mut hops = 0;
        while let Some(part) = todo.pop() {
            self.step()?;
            match part {
                b"" | b"." => continue,
                b".." => match at.parent() {
                    Some(parent) => at = parent,
                    None => return Ok(Err(Lost::Outside)),
                },
                part => {
                    let next = at.clone().joined(part);
                    let Some(Member::Link(link)) = nodes.get(&next) else {
                        at = next;
                        continue;
                    };
                    hops += 1;
                    if hops > MAX_HOPS {
                        return Ok(Err(Lost::Circle));
                    }
                    if link.target.len() > MAX_TARGET {
                        return Ok(Err(Lost::TooLong));
                    }
                    if link.symbolic && link.target.starts_with(b"/") {
                        return Ok(Err(Lost::Outside));
                    }
                    if !link.symbolic {
                        at = InnerPath::default();
                    }
                    todo.extend(link.target.rsplit(|&byte| byte == b'/'));
                }
            }
        }
        let exists = nodes.range(&at..).next().is_some_and(|(path, _)| path.is_within(&at));
        Ok(if exists { Ok(at) } else { Err(Lost::Missing) })
    }

    fn step(&mut self) -> Result<(), Error> {
        self.steps += 1;
        if self.steps > MAX_STEPS { Err(self.too_many()) } else { Ok(()) }
    }

    fn too_many(&self) -> Error {
        Error::TooManyLinks { path: self.listing.origin.clone() }
    }
}
