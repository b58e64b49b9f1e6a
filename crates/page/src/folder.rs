//! A page as a folder of files.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::engine::{FILE, SCRIPTS, engine};
use crate::html::{PLAYGROUND_WORKER, folder_page, folder_script, playground_page, playground_script};

/// The longest name of a network.
const LONGEST_NAME: usize = 100;

/// Error of whoever writes weights.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Writer of weights as safetensors to the path that it is given.
pub type SaveWeights<'a> = Box<dyn FnOnce(&Path) -> Result<(), BoxError> + 'a>;

/// A network of a page.
pub struct PageModel<'a> {
    /// Name on the page, and of its file.
    pub name: String,
    /// Version on the page.
    pub version: u32,
    /// Writer of its weights.
    pub save: SaveWeights<'a>,
}

impl std::fmt::Debug for PageModel<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, version, .. } = self;
        f.debug_struct("PageModel").field("name", name).field("version", version).finish_non_exhaustive()
    }
}

/// A network in `models.json`.
#[derive(Serialize, Deserialize)]
struct Line {
    name: String,
    version: String,
    file: String,
    bytes: u64,
}

/// `models.json`.
#[derive(Serialize, Deserialize)]
struct Models {
    models: Vec<Line>,
}

/// Writes the page of some networks into a folder that any static server serves: `index.html`, `page.js`, `models.json`,
/// the engine in `engine/`, and the weights in `weights/`. The folder is created; a page that it holds is replaced.
///
/// # Errors
/// [`Error::NoModels`], [`Error::Name`] and [`Error::SameName`]; [`Error::Occupied`] for a folder that holds other files and
/// no page; [`Error::Write`]; [`Error::Weights`] for what `save` says.
pub fn write_folder(folder: &Path, models: Vec<PageModel<'_>>) -> Result<(), Error> {
    check_names(&models)?;
    check_folder(folder)?;
    let weights = create(folder.join("weights"))?;
    remove_old(folder)?;
    let mut lines = Vec::new();
    for PageModel { name, version, save } in models {
        let file = format!("{name}-{version}.safetensors");
        let path = weights.join(&file);
        save(&path).map_err(|reason| Error::Weights { name: name.clone(), reason })?;
        let bytes = fs::metadata(&path).map_err(|reason| Error::Write { path, reason })?.len();
        lines.push(Line { name, version: version.to_string(), file: format!("weights/{file}"), bytes });
    }
    write_engine(folder)?;
    // Plain strings and numbers.
    let models = serde_json::to_vec_pretty(&Models { models: lines });
    let json = folder.join("models.json");
    write(&json, &models.map_err(|error| Error::Write { path: json.clone(), reason: error.into() })?)?;
    write(&folder.join("page.js"), folder_script().as_bytes())?;
    write(&folder.join("index.html"), folder_page().as_bytes())
}

/// Writes the playground into a folder that any static server serves: a page where a network's text is edited and answered at
/// once, and the engine in `engine/`. The folder is created; a page that it holds is replaced.
///
/// # Errors
/// [`Error::Occupied`] for a folder that holds other files and no page; [`Error::Write`].
pub fn write_playground(folder: &Path) -> Result<(), Error> {
    check_folder(folder)?;
    write_engine(folder)?;
    write(&folder.join("playground.js"), playground_script().as_bytes())?;
    write(&folder.join("flow.js"), PLAYGROUND_WORKER.as_bytes())?;
    write(&folder.join("index.html"), playground_page().as_bytes())
}

fn write_engine(folder: &Path) -> Result<(), Error> {
    let scripts = create(folder.join("engine"))?;
    for (name, text) in SCRIPTS {
        write(&scripts.join(name), text.as_bytes())?;
    }
    let wasm = scripts.join(FILE);
    write(&wasm, &engine().map_err(|reason| Error::Write { path: wasm.clone(), reason })?)
}

fn create(folder: PathBuf) -> Result<PathBuf, Error> {
    match fs::create_dir_all(&folder) {
        Ok(()) => Ok(folder),
        Err(reason) => Err(Error::Write { path: folder, reason }),
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    fs::write(path, bytes).map_err(|reason| Error::Write { path: path.to_owned(), reason })
}

fn check_names(models: &[PageModel<'_>]) -> Result<(), Error> {
    if models.is_empty() {
        return Err(Error::NoModels);
    }
    for (place, PageModel { name, version, .. }) in models.iter().enumerate() {
        let dots = name.chars().all(|letter| letter == '.');
        if !(1..=LONGEST_NAME).contains(&name.len()) || !is_plain(name) || dots {
            return Err(Error::Name { name: name.clone() });
        }
        if models[..place].iter().any(|other| other.name == *name && other.version == *version) {
            return Err(Error::SameName { name: name.clone() });
        }
    }
    Ok(())
}

/// Removes the weights of the page that is replaced: those that it lists, and nothing else.
fn remove_old(folder: &Path) -> Result<(), Error> {
    let Ok(text) = fs::read(folder.join("models.json")) else { return Ok(()) };
    let Ok(Models { models }) = serde_json::from_slice(&text) else { return Ok(()) };
    for Line { name, version, .. } in models {
        // Numbers and names alone, as they are written here: no path leads out of the folder.
        let file = format!("{name}-{version}.safetensors");
        if !is_plain(&file) {
            continue;
        }
        let path = folder.join("weights").join(file);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::Write { path, reason: error });
            }
            _ => {}
        }
    }
    Ok(())
}

/// True for what is a file's name in any address.
fn is_plain(name: &str) -> bool {
    name.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter))
}

/// A folder of somebody's files is not filled with others.
fn check_folder(folder: &Path) -> Result<(), Error> {
    let holds_page = folder.join("index.html").is_file() && folder.join("engine").join(FILE).is_file();
    let is_empty = match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(reason) => return Err(Error::Write { path: folder.to_owned(), reason }),
    };
    match is_empty || holds_page {
        true => Ok(()),
        false => Err(Error::Occupied { folder: folder.to_owned() }),
    }
}
