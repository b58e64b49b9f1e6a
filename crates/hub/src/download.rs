//! A transfer: begun, taken up again where it broke off, limited and verified.

use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use ureq::Agent;

use crate::http::{Answer, Content, Request};
use crate::partial::Partial;
use crate::{Error, Event, Options, Remote};

/// The most requests for one file: a server may send a byte at a time.
const MOST_REQUESTS: u32 = 1000;

/// The longest that a server's wish to be asked later is granted.
const LONGEST_WAIT: u64 = 30;

/// A file that is being fetched.
pub(crate) struct Download<'d> {
    pub(crate) agent: &'d Agent,
    pub(crate) options: &'d Options,
    pub(crate) remote: &'d Remote,
    pub(crate) watch: &'d mut dyn FnMut(Event),
}

impl Download<'_> {
    /// Brings the file to `target`, whose folder is there.
    pub(crate) fn run(mut self, target: &Path) -> Result<(), Error> {
        let mut partial = Partial::open(target)?;
        let resumed = partial.size() > 0;
        let mut result = self.complete(&mut partial);
        if resumed && matches!(result, Err(Error::Wrong { .. })) {
            // The part was of another file, or broken: once more from the beginning.
            partial.restart(None)?;
            result = self.complete(&mut partial);
        }
        match result {
            Ok(()) => partial.finish(target),
            Err(error) => {
                if matches!(error, Error::Wrong { .. } | Error::TooLarge { .. }) || partial.size() == 0 {
                    partial.discard();
                }
                Err(error)
            }
        }
    }

    /// Fetches what is missing, and verifies the whole.
    fn complete(&mut self, partial: &mut Partial) -> Result<(), Error> {
        self.fetch(partial)?;
        let Some(expected) = &self.remote.digest else { return Ok(()) };
        (self.watch)(Event::Verifying);
        let found = expected.compute(partial.rewound()?).map_err(Error::io(&self.remote.path, "read"))?;
        if found == *expected {
            return Ok(());
        }
        let Remote { name, url, .. } = self.remote.clone();
        Err(Error::Wrong { name, url, expected: expected.clone(), found })
    }

    fn fetch(&mut self, partial: &mut Partial) -> Result<(), Error> {
        let (mut failures, mut progress) = (0, false);
        for _ in 0..MOST_REQUESTS {
            let before = partial.size();
            let Err(error) = self.transfer(partial) else { return Ok(()) };
            let moved = partial.size() > before;
            progress |= moved;
            failures = if moved { 1 } else { failures + 1 };
            let Some(pause) = self.pause(&error, failures, progress) else { return Err(error) };
            (self.watch)(Event::Again { reason: error.to_string() });
            sleep(pause);
        }
        Err(self.broken(partial, None, "too many interruptions".into()))
    }

    /// How long to wait before the next request; `None` where it would not help.
    fn pause(&self, error: &Error, failures: u32, progress: bool) -> Option<Duration> {
        let asked = match error {
            Error::Broken { .. } => 0,
            Error::Status { status: 429 | 500.., retry_after, .. } => retry_after.unwrap_or(0),
            // A server that has never answered is not there.
            Error::Connect { .. } if progress => 0,
            _ => return None,
        };
        (failures <= self.options.retries && asked <= LONGEST_WAIT)
            .then(|| (self.options.pause * failures).max(Duration::from_secs(asked)))
    }

    /// One request, and what comes of it.
    fn transfer(&mut self, partial: &mut Partial) -> Result<(), Error> {
        // A part of an unknown version is worth something where a hash will tell.
        if partial.size() > 0 && partial.validator().is_none() && self.remote.digest.is_none() {
            partial.restart(None)?;
        }
        let mut answer = self.ask(partial)?;
        match answer.content {
            Content::Nothing => return Ok(()),
            Content::After(first) if first == partial.size() && first > 0 => {}
            Content::Whole => partial.restart(answer.validator.as_deref())?,
            Content::After(_) => {
                partial.restart(None)?;
                answer = self.ask(partial)?;
                if answer.content != Content::Whole {
                    return Err(self.broken(
                        partial,
                        None,
                        "the server sends another part than asked for".into(),
                    ));
                }
                partial.restart(answer.validator.as_deref())?;
            }
        }
        (self.watch)(Event::Progress { received: partial.size(), size: answer.size });
        self.receive(partial, answer)
    }

    fn ask(&self, partial: &Partial) -> Result<Answer, Error> {
        let request = Request { remote: self.remote, after: partial.size(), validator: partial.validator() };
        request.send(self.agent)
    }

    fn receive(&mut self, partial: &mut Partial, mut answer: Answer) -> Result<(), Error> {
        self.limit(answer.size.unwrap_or(0))?;
        let mut buffer = vec![0; 1 << 17];
        loop {
            let read = match answer.body.read(&mut buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.broken(partial, answer.size, self.reason(&error))),
            };
            if read == 0 {
                break;
            }
            self.limit(partial.size() + read as u64)?;
            partial.append(&buffer[..read])?;
            (self.watch)(Event::Progress { received: partial.size(), size: answer.size });
        }
        match answer.size {
            Some(size) if partial.size() < size => {
                Err(self.broken(partial, answer.size, "the connection was closed".into()))
            }
            _ => Ok(()),
        }
    }

    fn limit(&self, size: u64) -> Result<(), Error> {
        let Remote { name, url, limit, .. } = self.remote.clone();
        if size <= limit { Ok(()) } else { Err(Error::TooLarge { name, url, size, limit }) }
    }

    fn reason(&self, error: &io::Error) -> String {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>());
        match (error.kind(), inner) {
            (ErrorKind::TimedOut | ErrorKind::WouldBlock, _) | (_, Some(ureq::Error::Timeout(_))) => {
                format!("nothing came for {} s", self.options.patience.as_secs_f32())
            }
            (ErrorKind::UnexpectedEof, _) => "the connection was closed".into(),
            _ => error.to_string(),
        }
    }

    fn broken(&self, partial: &Partial, size: Option<u64>, reason: String) -> Error {
        let Remote { name, url, .. } = self.remote.clone();
        Error::Broken { name, url, received: partial.size(), size, reason }
    }
}
