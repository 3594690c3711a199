//! Where output goes: standard output, or a file that appears when it is complete.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use super::clean;
use super::safe::Safe;
use crate::error::Error;

const BUFFER: usize = 64 * 1024;

/// Output of a command.
pub(crate) struct Out {
    // `None` once finished.
    writer: Option<Box<dyn Write + Send>>,
    // The file under its temporary and its final name.
    renamed: Option<(PathBuf, PathBuf)>,
}

/// Standard output, buffered. Errors surface at the flush, which is the caller's to do.
pub(crate) fn stdout() -> BufWriter<io::Stdout> {
    BufWriter::with_capacity(BUFFER, io::stdout())
}

impl Out {
    /// Opens standard output. With `safe`, data cannot steer the terminal that it may be.
    pub(crate) fn standard(safe: bool) -> Self {
        let out = stdout();
        let writer: Box<dyn Write + Send> =
            if safe && io::stdout().is_terminal() { Box::new(Safe::new(out)) } else { Box::new(out) };
        Out { writer: Some(writer), renamed: None }
    }

    /// Any writer.
    pub(super) fn to(writer: impl Write + Send + 'static) -> Self {
        Out { writer: Some(Box::new(writer)), renamed: None }
    }

    /// Opens a file. A regular file is written beside its name and put in place by [`finish`], so
    /// that a failure leaves what was there; a pipe, a device, or a file that is open already
    /// (`/dev/fd/3`) is written as it is. A database is not replaced.
    ///
    /// [`finish`]: Self::finish
    pub(crate) fn file(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Write { path: path.to_owned(), source };
        let open = ["/dev/fd", "/dev/stderr", "/proc"].iter().any(|folder| path.starts_with(folder));
        if open || fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            // To the end of what is there: the file may be somebody's log.
            let file = OpenOptions::new().append(true).open(path).map_err(failed)?;
            return Ok(Out { writer: Some(buffered(file)), renamed: None });
        }
        // A link leads to the file that is meant, also where nothing is yet.
        let target = follow(path).map_err(failed)?;
        // The log of what is committed, and not in the database yet, is as good as the database.
        let database = if target.extension().is_some_and(|ending| ending == "wal") {
            target.with_extension("")
        } else {
            target.clone()
        };
        if is_database(&database).map_err(failed)? {
            return Err(Error::setting(
                format!(
                    "{} is a DuckDB database, and would be replaced",
                    clean(&database.display().to_string())
                ),
                "give the result another name",
            ));
        }
        let (beside, file) = beside(&target).map_err(failed)?;
        if let Ok(before) = fs::metadata(&target) {
            // Who could read the file can read the new one.
            file.set_permissions(before.permissions()).map_err(failed)?;
        }
        Ok(Out { writer: Some(buffered(file)), renamed: Some((beside, target)) })
    }

    /// Writes what is buffered, and gives a file its name.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        if let Some(mut writer) = self.writer.take() {
            writer.flush()?;
        }
        match self.renamed.take() {
            Some((beside, target)) => fs::rename(beside, target),
            None => Ok(()),
        }
    }
}

fn buffered(file: File) -> Box<dyn Write + Send> {
    Box::new(BufWriter::with_capacity(BUFFER, file))
}

/// Whether the file is one of DuckDB's: the mark behind its header's checksum.
fn is_database(path: &Path) -> io::Result<bool> {
    let mut start = [0; 12];
    match File::open(path) {
        Ok(mut file) => Ok(file.read_exact(&mut start).is_ok() && start[8..] == *b"DUCK"),
        // There is nothing to lose.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The file that is meant: links lead to it, also where nothing is yet.
fn follow(path: &Path) -> io::Result<PathBuf> {
    let mut at = path.to_owned();
    for _ in 0..40 {
        match fs::read_link(&at) {
            Ok(target) => at = at.parent().unwrap_or(Path::new("")).join(target),
            Err(_) => return Ok(at),
        }
    }
    Err(io::Error::other("too many links, one behind the other"))
}

/// Makes a file beside `target` under a name that nobody has. Others stay: somebody may be writing
/// them, and in a container every process has the same id.
fn beside(target: &Path) -> io::Result<(PathBuf, File)> {
    let name = target.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    let mut number: u64 = 0;
    loop {
        let path = target.with_file_name(format!(".{name}.{}.{number}.partial", std::process::id()));
        match File::create_new(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            made => return made.map(|file| (path, file)),
        }
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.as_mut().map_or(Err(io::ErrorKind::BrokenPipe.into()), |writer| writer.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.as_mut().map_or(Ok(()), |writer| writer.flush())
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        if let Some((beside, _)) = self.renamed.take() {
            self.writer = None;
            let _ = fs::remove_file(beside);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_when_it_is_complete_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        fs::write(&path, "old").unwrap();
        let mut out = Out::file(&path).unwrap();
        out.write_all(b"new").unwrap();
        drop(out);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        let mut out = Out::file(&path).unwrap();
        out.write_all(b"new").unwrap();
        out.finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_database_is_not_replaced_by_a_result() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.duckdb");
        let header = [&[7; 8][..], b"DUCK", &[0; 100]].concat();
        fs::write(&path, &header).unwrap();
        std::os::unix::fs::symlink(&path, folder.path().join("link.csv")).unwrap();
        for name in ["data.duckdb", "link.csv", "data.duckdb.wal"] {
            let error = Out::file(&folder.path().join(name)).err().unwrap();
            assert!(error.to_string().contains("is a DuckDB database"), "{name}: {error}");
        }
        assert_eq!(fs::read(&path).unwrap(), header);
        assert!(Out::file(&folder.path().join("other.wal")).is_ok());
    }

    #[test]
    fn a_file_that_is_open_is_added_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, "before\n").unwrap();
        let open = OpenOptions::new().append(true).open(&path).unwrap();
        let name = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&open));
        if !Path::new(&name).exists() {
            return;
        }
        let mut out = Out::file(Path::new(&name)).unwrap();
        out.write_all(b"result\n").unwrap();
        out.finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "before\nresult\n");
    }

    #[test]
    fn links_are_followed_and_stay_links() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::os::unix::fs::symlink("second", at("first")).unwrap();
        std::os::unix::fs::symlink("target.csv", at("second")).unwrap();
        // Where nothing is yet, and where something is.
        for text in ["one", "two"] {
            let mut out = Out::file(&at("first")).unwrap();
            out.write_all(text.as_bytes()).unwrap();
            out.finish().unwrap();
            assert_eq!(fs::read_to_string(at("target.csv")).unwrap(), text);
            assert!(fs::symlink_metadata(at("first")).unwrap().is_symlink());
            assert!(fs::symlink_metadata(at("second")).unwrap().is_symlink());
        }
        std::os::unix::fs::symlink("loop", at("loop")).unwrap();
        assert!(Out::file(&at("loop")).is_err());
    }

    #[test]
    fn a_file_that_is_replaced_keeps_its_mode() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        for mode in [0o640, 0o604] {
            fs::write(&path, "old").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            Out::file(&path).unwrap().finish().unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
        }
    }

    #[test]
    fn what_a_killed_run_left_is_not_in_the_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let (left, _) = beside(&path).unwrap();
        let mut out = Out::file(&path).unwrap();
        out.write_all(b"new").unwrap();
        out.finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_to_string(left).unwrap(), "");
    }
}
