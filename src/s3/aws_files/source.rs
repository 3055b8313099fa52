//! Finds and reads the two files.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::s3::aws_files::note::{AwsFileLine, AwsFileNote};
use crate::system::env::env_var;
use crate::system::pipes::read_file_start;

/// The rest of a longer file is ignored.
const MAX_FILE_BYTES: u64 = 4 << 20;
const BYTE_ORDER_MARK: char = '\u{feff}';

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AwsFileKind {
    Config,
    Credentials,
}

/// The content of a file; empty if the file does not exist.
#[derive(Debug)]
pub(super) struct AwsFile {
    pub(super) kind: AwsFileKind,
    pub(super) path: PathBuf,
    pub(super) text: String,
    pub(super) notes: Vec<AwsFileNote>,
}

impl AwsFileKind {
    fn path(self) -> PathBuf {
        let (variable, default) = match self {
            Self::Config => ("AWS_CONFIG_FILE", "~/.aws/config"),
            Self::Credentials => ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"),
        };
        expand_home(&env_var(variable).unwrap_or_else(|| default.to_owned()))
    }

    /// Reads the file of this kind.
    pub(super) fn read(self) -> AwsFile {
        let path = self.path();
        match read_file_start(&path, MAX_FILE_BYTES) {
            Ok(bytes) => AwsFile::decode(self, path, &bytes),
            Err(error) => {
                let mut file = AwsFile::decode(self, path, b"");
                if error.kind() != ErrorKind::NotFound {
                    file.add_note(None, format!("cannot be read: {error}"));
                }
                file
            }
        }
    }
}

impl AwsFile {
    pub(super) fn decode(kind: AwsFileKind, path: PathBuf, bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut file = Self {
            kind,
            path,
            text: text.trim_start_matches(BYTE_ORDER_MARK).to_owned(),
            notes: Vec::new(),
        };
        if bytes.contains(&0) {
            file.add_note(None, "is not text in UTF-8: save it in UTF-8");
        } else if text.starts_with(BYTE_ORDER_MARK) {
            let text = "begins with a byte order mark, at which the aws CLI fails";
            file.add_note(Some(1), text);
        } else if let Err(error) = std::str::from_utf8(bytes) {
            let before = &bytes[..error.valid_up_to()];
            let number = before.split(|byte| *byte == b'\n').count();
            let text = "has a character that is not UTF-8, at which the aws CLI fails";
            file.add_note(Some(number), text);
        }
        file
    }

    fn add_note(&mut self, line: Option<usize>, text: impl Into<String>) {
        let line = match line {
            Some(number) => AwsFileLine::new(&self.path, number),
            None => AwsFileLine::whole_file(&self.path),
        };
        self.notes.push(AwsFileNote::new(line, text));
    }
}

/// Replaces a leading `~`, which a shell leaves in place within quotes, and other programs always.
fn expand_home(path: &str) -> PathBuf {
    let home = env_var("HOME");
    match (path.strip_prefix('~'), home) {
        (Some(""), Some(home)) => PathBuf::from(home),
        (Some(rest), Some(home)) if rest.starts_with('/') => {
            Path::new(&home).join(rest.trim_start_matches('/'))
        }
        _ => PathBuf::from(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes_of(bytes: &[u8]) -> Vec<String> {
        let file = AwsFile::decode(AwsFileKind::Config, "config".into(), bytes);
        assert!(file.text.starts_with("[default]"), "{:?}", file.text);
        file.notes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn unusual_encodings_are_named_with_their_line() {
        assert_eq!(notes_of(b"[default]\nregion = x\n"), [""; 0]);
        let latin_1 = notes_of(b"[default]\n# M\xfcller\n");
        assert!(latin_1[0].starts_with("line 2 of `config` has a character"));
        let with_mark = notes_of("\u{feff}[default]\n".as_bytes());
        assert!(with_mark[0].starts_with("line 1 of `config` begins with a byte order mark"));
        let utf_16 = AwsFile::decode(AwsFileKind::Config, "config".into(), b"\xff\xfe[\0d\0");
        assert!(
            utf_16.notes[0]
                .to_string()
                .starts_with("`config` is not text in UTF-8")
        );
    }
}
