// InputFile.swift: a regular file, open for reading, of known size. Reads are positional and exact, so memory is bounded by what callers ask.
// Not mapped: a file that someone truncates while it is mapped kills the host with SIGBUS; a short read is an error that can be told.
import Glibc
import RengaNetwork

/// A regular file open for reading; closed with its last owner. Its reads share no position: any thread may read.
package final class InputFile: Sendable {
    /// As given.
    package let path: String
    /// Bytes when it was opened.
    package let size: Int
    private let descriptor: Int32

    /// Opens `path`. A folder, device, pipe or socket is refused; a pipe is never waited for.
    package init(path: String) throws(RengaError) {
        try checkPath(path)
        var opened: Int32 = -1
        repeat { opened = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) } while opened < 0 && errno == EINTR
        guard opened >= 0 else { throw fileError("open", path, errno) }
        var status = stat()
        guard fstat(opened, &status) == 0 else {
            let code = errno
            close(opened)
            throw fileError("inspect", path, code)
        }
        guard isType(status.st_mode, S_IFREG) else {
            close(opened)
            let kind = isType(status.st_mode, S_IFDIR) ? "is a folder" : "is not a regular file"
            throw RengaError(.fileError, "cannot read '\(path)': it \(kind)")
        }
        self.path = path
        size = Int(status.st_size)
        descriptor = opened
    }

    deinit { close(descriptor) }

    /// Reads as many bytes as are there at `offset`, at most `dst.count`; 0 only at the end of the file.
    package func readSome(_ dst: UnsafeMutableRawBufferPointer, at offset: Int) throws(RengaError) -> Int {
        var done = 0
        while done < dst.count, let base = dst.baseAddress {
            let got = pread(descriptor, base + done, dst.count - done, off_t(offset + done))
            if got < 0 && errno == EINTR { continue }
            guard got >= 0 else { throw fileError("read", path, errno) }
            if got == 0 { break }
            done += got
        }
        return done
    }

    /// Fills `dst` from `offset` on; a file that ends before is an error.
    package func read(_ dst: UnsafeMutableRawBufferPointer, at offset: Int) throws(RengaError) {
        let got = try readSome(dst, at: offset)
        guard got == dst.count else {
            throw RengaError(
                .corruptData, "'\(path)' ends at byte \(offset + got); \(dst.count - got) more were expected")
        }
    }
}
