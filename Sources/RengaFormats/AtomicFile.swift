// AtomicFile.swift: a file that appears whole or not at all: written beside its target, synced, renamed over it, folder synced.
// Not here: what is written.
import Glibc
import RengaNetwork

/// A file being written beside its target. Until ``commit()`` returns, what stood at `path` is untouched; without it the
/// temporary file goes with its owner. One thread at a time.
package final class AtomicFile {
    /// As given.
    package let path: String
    private let target: String
    private let folder: String
    private let temporary: String
    private var descriptor: Int32 = -1
    private var isCommitted = false

    /// Starts a file for `path`. Refused: a folder or device at `path`, a file there that nobody may write, a folder
    /// that cannot be written. A symbolic link at `path` stays one: its target is replaced.
    package init(path: String) throws(RengaError) {
        try checkPath(path)
        self.path = path
        target = try AtomicFile.followLinks(path)
        folder = AtomicFile.folder(of: target)
        let permissions = try AtomicFile.permissions(ofExisting: target, named: path)
        // A new version of a file keeps the permissions of the old one, and nobody else may open it before it has them; what the
        // process' mask took away comes after. Failing to is no reason to lose the data.
        (descriptor, temporary) = try AtomicFile.create(in: folder, permissions ?? 0o666, for: path)
        if let permissions { _ = fchmod(descriptor, permissions) }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
        if !isCommitted { unlink(temporary) }
    }

    /// Appends `bytes`.
    package func write(_ bytes: UnsafeRawBufferPointer) throws(RengaError) {
        var done = 0
        while done < bytes.count, let base = bytes.baseAddress {
            let put = Glibc.write(descriptor, base + done, bytes.count - done)
            if put < 0 && errno == EINTR { continue }
            guard put >= 0 else { throw fileError("write", path, errno) }
            done += put
        }
    }

    /// Makes the file durable and puts it in place. On an error before the rename the old file stays.
    package func commit() throws(RengaError) {
        guard fsync(descriptor) == 0 else { throw fileError("sync", path, errno) }
        let written = descriptor
        descriptor = -1
        guard close(written) == 0 || errno == EINTR else { throw fileError("close", path, errno) }
        guard rename(temporary, target) == 0 else { throw fileError("replace", path, errno) }
        isCommitted = true
        try syncFolder()
    }

    /// The rename itself must survive a power cut. File systems that cannot sync a folder (EINVAL) have no better way.
    private func syncFolder() throws(RengaError) {
        let opened = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        // A folder may be writable and not readable: the file is in place all the same.
        guard opened >= 0 else { return }
        let failed = fsync(opened) != 0 && errno != EINVAL
        let code = errno
        close(opened)
        guard !failed else { throw fileError("sync the folder of", path, code) }
    }

    private static func followLinks(_ path: String) throws(RengaError) -> String {
        var status = stat()
        guard lstat(path, &status) == 0, isType(status.st_mode, S_IFLNK) else { return path }
        guard let resolved = realpath(path, nil) else { throw fileError("follow the link", path, errno) }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    private static func folder(of path: String) -> String {
        // Bytes, not characters: a slash before a combining mark is no character of its own.
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Permissions of the file that will be replaced, nil where there is none.
    private static func permissions(ofExisting target: String, named path: String) throws(RengaError) -> mode_t? {
        var status = stat()
        guard stat(target, &status) == 0 else {
            guard errno == ENOENT else { throw fileError("inspect", path, errno) }
            return nil
        }
        guard !isType(status.st_mode, S_IFDIR) else {
            throw RengaError(.fileError, "cannot write '\(path)': it is a folder")
        }
        guard isType(status.st_mode, S_IFREG) else {
            throw RengaError(.fileError, "cannot write '\(path)': it is not a regular file")
        }
        // A rename would replace it (and root may anyway), but whoever made it read-only meant to keep it.
        guard status.st_mode & 0o222 != 0 else {
            throw RengaError(.fileError, "cannot write '\(path)': the file there is read-only")
        }
        return status.st_mode & 0o777
    }

    /// A fresh file in `folder`: in the same file system as the target, else the rename could not be atomic.
    private static func create(
        in folder: String, _ permissions: mode_t, for path: String
    ) throws(RengaError) -> (Int32, String) {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        let stamp = "\(getpid())-\(time.tv_sec)\(time.tv_nsec)"
        for attempt in 0..<100 {
            let name = "\(folder)/.renga-\(stamp)-\(attempt).tmp"
            let opened = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, permissions)
            if opened >= 0 { return (opened, name) }
            guard errno == EEXIST || errno == EINTR else { throw fileError("create a file beside", path, errno) }
        }
        throw fileError("create a file beside", path, EEXIST)
    }
}
