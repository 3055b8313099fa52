//! Atomic file writes: readers see the old or the new content, never a mix.
//!
//! Some file systems (CIFS, FUSE, the Windows disks of WSL) refuse to sync a folder or to set a mode.
//! That is not an error: the write is as durable and as private as they let it be.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::system::dirs::is_owned;

/// The permissions of a new file, before the umask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileMode {
    /// 0600, for files with secrets.
    Private,
    /// 0666.
    Shared,
    /// 0777.
    Executable,
}

impl FileMode {
    #[cfg(unix)]
    fn bits(self) -> u32 {
        match self {
            Self::Private => 0o600,
            Self::Shared => 0o666,
            Self::Executable => 0o777,
        }
    }

    #[cfg_attr(not(unix), allow(clippy::unused_self, unused_variables))]
    fn set_on(self, options: &mut OpenOptions) {
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(options, self.bits());
    }
}

/// Creates a folder and its parents, closed to other users.
pub fn create_private_dir(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// A temporary file that [`AtomicFile::commit`] moves to its final path. Without a commit it is
/// deleted.
#[derive(Debug)]
pub struct AtomicFile {
    file: File,
    path: PathBuf,
    /// `None` for a device or a pipe, which is written directly.
    temporary_path: Option<PathBuf>,
}

impl AtomicFile {
    /// For a path that the user named: follows links, and writes directly to a device or a pipe.
    pub fn create_for_user(path: &Path) -> io::Result<Self> {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let metadata = fs::metadata(&path).ok();
        if let Some(existing) = metadata
            && !existing.is_file()
        {
            return Self::open_directly(path, existing.is_dir());
        }

        let folder = parent_dir(&path);
        if !folder.is_dir() {
            let message = format!("there is no folder `{}`", folder.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, message));
        }
        Self::create(&path, FileMode::Shared)
    }

    fn open_directly(path: PathBuf, is_dir: bool) -> io::Result<Self> {
        if is_dir {
            let kind = io::ErrorKind::IsADirectory;
            return Err(io::Error::new(kind, "it is a folder"));
        }
        Ok(Self {
            file: OpenOptions::new().write(true).open(&path)?,
            path,
            temporary_path: None,
        })
    }

    pub fn create(path: &Path, mode: FileMode) -> io::Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary_name = format!(".{name}.{}.tmp", std::process::id());
        let temporary_path = parent_dir(path).join(temporary_name);

        let mut options = OpenOptions::new();
        // An existing file is not opened, because it could be a link.
        options.write(true).create_new(true);
        mode.set_on(&mut options);
        let file = match options.open(&temporary_path) {
            // A killed process with the same id has left it.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_file(&temporary_path)?;
                options.open(&temporary_path)?
            }
            opened => opened?,
        };
        let _ = file.try_lock();
        Ok(Self {
            file,
            path: path.to_owned(),
            temporary_path: Some(temporary_path),
        })
    }

    /// Syncs the file, renames it and syncs its folder, so that it survives a power cut where the
    /// file system can sync. Returns the file, which is locked.
    pub fn commit(mut self) -> io::Result<File> {
        if let Some(temporary_path) = &self.temporary_path {
            unless_unsupported(self.file.sync_all())?;
            fs::rename(temporary_path, &self.path)?;
            self.temporary_path = None;
            let folder = File::open(parent_dir(&self.path))?;
            unless_unsupported(folder.sync_all())?;
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
        if let Some(temporary_path) = &self.temporary_path {
            let _ = fs::remove_file(temporary_path);
        }
    }
}

/// Drops an error by which a file system says that it cannot do this at all. A disk that is full or
/// broken has others.
fn unless_unsupported(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if is_unsupported(&error) => Ok(()),
        done => done,
    }
}

/// EINVAL, ENOSYS, ENOTSUP, EPERM, EACCES and EBADF, as different file systems answer.
#[must_use]
pub fn is_unsupported(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(rustix::io::Errno::BADF.raw_os_error()) {
        return true;
    }
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied
    )
}

/// Writes `parts` one after the other, and commits as [`AtomicFile::commit`] does.
pub fn write_atomically(path: &Path, parts: &[&[u8]], mode: FileMode) -> io::Result<File> {
    let mut file = AtomicFile::create(path, mode)?;
    for part in parts {
        file.write_all(part)?;
    }
    file.commit()
}

/// Copies a file to `NAME.bak` in its folder, or to `NAME.bak2` and so on, never over another
/// file. Returns the copy's path. An error leaves no copy.
pub fn copy_to_backup(path: &Path) -> io::Result<PathBuf> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    FileMode::Private.set_on(&mut options);
    for number in 1_u32.. {
        let backup_path = parent_dir(path).join(backup_name(path, number));
        let mut backup = match options.open(&backup_path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            opened => opened?,
        };
        let copied = copy_into(path, &mut backup);
        if copied.is_err() {
            let _ = fs::remove_file(&backup_path);
        }
        return copied.map(|()| backup_path);
    }
    let kind = io::ErrorKind::AlreadyExists;
    Err(io::Error::new(kind, "all names for a backup are taken"))
}

fn copy_into(path: &Path, backup: &mut File) -> io::Result<()> {
    let mut original = File::open(path)?;
    io::copy(&mut original, backup)?;
    // Without it the copy is closed to others, so a failure makes it only more private.
    let _ = backup.set_permissions(original.metadata()?.permissions());
    unless_unsupported(backup.sync_all())
}

fn backup_name(path: &Path, number: u32) -> OsString {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".bak");
    if number > 1 {
        name.push(number.to_string());
    }
    name
}

/// Opens a file for writing, or creates it for its owner only. Does not follow a link.
pub fn open_private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    FileMode::Private.set_on(&mut options);
    #[cfg(unix)]
    {
        let flags = rustix::fs::OFlags::NOFOLLOW.bits();
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags.cast_signed());
    }
    options.open(path)
}

/// Opens a file of this user for reading. Does not follow a link, and does not wait for a pipe's
/// writer.
///
/// # Errors
/// It cannot be opened, or another user has put it there.
pub fn open_without_links(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let flags = flags.bits().cast_signed();
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags);
    }
    let file = options.open(path)?;
    if !is_owned(&file.metadata()?) {
        let kind = io::ErrorKind::PermissionDenied;
        return Err(io::Error::new(kind, "it belongs to another user"));
    }
    Ok(file)
}

/// Whether an open file is still the one at `path`.
pub fn is_same_file(file: &File, path: &Path) -> io::Result<bool> {
    let current = match fs::metadata(path) {
        Ok(current) => current,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let open = file.metadata()?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        Ok((open.dev(), open.ino()) == (current.dev(), current.ino()))
    }
    #[cfg(not(unix))]
    {
        Ok(open.len() == current.len())
    }
}

/// The folder of a path; `.` for a bare file name.
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
    fn a_file_is_replaced_and_leaves_no_temporary_file() {
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
    fn a_backup_overwrites_no_file() {
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
    fn a_failed_write_leaves_no_temporary_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("taken");
        fs::create_dir(&path).expect("a folder");
        write_atomically(&path, &[b"x"], FileMode::Shared).expect_err("a folder is in the way");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }
}
