//! Files that are at no moment half written: whoever opens one sees the old content or the new.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Who may do what with a file; the user's umask takes away from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileMode {
    /// 0600: for what holds secrets.
    Private,
    /// 0666.
    Shared,
    /// 0777.
    Executable,
}

/// Makes a folder, and those above it, that only its owner can look into.
pub fn create_private_dir(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// A file being written beside the place where it shall be; it gets there whole, or not at all.
#[derive(Debug)]
pub struct AtomicFile {
    file: File,
    path: PathBuf,
    /// `None` where the place is a device or a pipe, which is written to as it is.
    temporary_path: Option<PathBuf>,
}

impl AtomicFile {
    /// Starts what a user wants at `path`: a link is followed, and a device or a pipe written to as it is.
    pub fn create_for_user(path: &Path) -> io::Result<Self> {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let folder = parent_dir(&path);
        match fs::metadata(&path) {
            Ok(there) if there.is_dir() => Err(io::Error::new(
                io::ErrorKind::IsADirectory,
                "it is a folder",
            )),
            Ok(there) if !there.is_file() => Ok(Self {
                file: OpenOptions::new().write(true).open(&path)?,
                path,
                temporary_path: None,
            }),
            _ if folder.is_dir() => Self::create(&path, FileMode::Shared),
            _ => Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("there is no folder `{}`", folder.display()),
            )),
        }
    }

    /// Starts a draft of `path`.
    pub fn create(path: &Path, mode: FileMode) -> io::Result<Self> {
        let folder = parent_dir(path);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = folder.join(format!(".{name}.{}.tmp", std::process::id()));
        let mut options = OpenOptions::new();
        // Never into what is there already: it could be a link.
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(
            &mut options,
            match mode {
                FileMode::Private => 0o600,
                FileMode::Shared => 0o666,
                FileMode::Executable => 0o777,
            },
        );
        let file = options
            .open(&temporary)
            .or_else(|error| match error.kind() {
                // Left by a killed process that had our number.
                io::ErrorKind::AlreadyExists => {
                    fs::remove_file(&temporary).and_then(|()| options.open(&temporary))
                }
                _ => Err(error),
            })?;
        let _ = file.try_lock();
        Ok(Self {
            file,
            path: path.to_owned(),
            temporary_path: Some(temporary),
        })
    }

    /// Puts it in place: fsync, rename, fsync of the folder. Once this returns, a power cut does not lose it. The file
    /// that is returned is locked.
    pub fn commit(mut self) -> io::Result<File> {
        if let Some(temporary) = &self.temporary_path {
            self.file.sync_all()?;
            fs::rename(temporary, &self.path)?;
            self.temporary_path = None;
            File::open(parent_dir(&self.path))?.sync_all()?;
        }
        self.file.try_clone()
    }
}

impl io::Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary_path {
            let _ = fs::remove_file(temporary);
        }
    }
}

/// Puts a file in place, as [`Draft::commit`] does.
pub fn write_atomically(path: &Path, parts: &[&[u8]], mode: FileMode) -> io::Result<File> {
    let mut draft = AtomicFile::create(path, mode)?;
    parts.iter().try_for_each(|part| draft.write_all(part))?;
    draft.commit()
}

/// Copies a file to `<name>.bak` beside it, or `.bak2` and so on: never over another one. Gives the copy's path.
pub fn copy_to_backup(path: &Path) -> io::Result<PathBuf> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    for number in 1_u32.. {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".bak");
        if number > 1 {
            name.push(number.to_string());
        }
        let aside = parent_dir(path).join(name);
        let mut copy = match options.open(&aside) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            opened => opened?,
        };
        let mut original = File::open(path)?;
        io::copy(&mut original, &mut copy)?;
        copy.set_permissions(original.metadata()?.permissions())?;
        copy.sync_all()?;
        return Ok(aside);
    }
    Err(io::Error::new(
        io::ErrorKind::AlreadyExists,
        "all names for a copy are taken",
    ))
}

/// Opens a file for writing that only its owner can read, and creates it where it does not exist. Follows no link.
pub fn open_private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options
            .mode(0o600)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    }
    options.open(path)
}

/// Opens a file for reading, but no link, and without waiting where it is a pipe.
pub fn open_without_links(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK)
            .bits()
            .cast_signed(),
    );
    options.open(path)
}

/// Whether a file that is open is still the one at `path`.
pub fn is_same_file(file: &File, path: &Path) -> io::Result<bool> {
    let there = match fs::metadata(path) {
        Ok(there) => there,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let open = file.metadata()?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        Ok((open.dev(), open.ino()) == (there.dev(), there.ino()))
    }
    #[cfg(not(unix))]
    {
        Ok(open.len() == there.len())
    }
}

/// The folder that a file is in, or is to be in.
#[must_use]
pub fn parent_dir(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        for content in [&b"one"[..], b"two"] {
            write_atomically(&path, &[content, b"\n"], FileMode::Shared).expect("written");
            assert_eq!(fs::read(&path).expect("there"), [content, b"\n"].concat());
        }
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn a_file_that_was_replaced_is_no_longer_at_its_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        let first = write_atomically(&path, &[b"x"], FileMode::Private).expect("written");
        assert!(is_same_file(&first, &path).expect("there"));
        let second = write_atomically(&path, &[b"x"], FileMode::Private).expect("written");
        assert!(
            !is_same_file(&first, &path).expect("there")
                && is_same_file(&second, &path).expect("there")
        );
        fs::remove_file(&path).expect("deleted");
        assert!(!is_same_file(&second, &path).expect("not there"));
    }

    #[test]
    fn what_is_set_aside_is_copied_over_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        for (content, name) in [
            (&b"one"[..], "file.bak"),
            (b"two", "file.bak2"),
            (b"three", "file.bak3"),
        ] {
            write_atomically(&path, &[content], FileMode::Private).expect("written");
            assert_eq!(
                copy_to_backup(&path).expect("a copy"),
                folder.path().join(name)
            );
        }
        assert_eq!(
            fs::read(folder.path().join("file.bak")).expect("there"),
            b"one"
        );
    }

    #[test]
    fn what_cannot_be_put_in_place_leaves_nothing_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("taken");
        fs::create_dir(&path).expect("a folder");
        write_atomically(&path, &[b"x"], FileMode::Shared).expect_err("a folder is in the way");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }
}
