// FileErrors.swift: one way to say what went wrong with a file: operation, path and the system's own words.
// Not here: what the bytes of a file mean.
import Glibc
import RengaNetwork

/// A file error with the path, the operation and the text of `code` (an errno value, read right after the failing call).
package func fileError(_ operation: String, _ path: String, _ code: Int32) -> RengaError {
    // glibc's strerror is thread-safe since 2.32 (its buffer is thread-local).
    let text = strerror(code).map { String(cString: $0) } ?? "error \(code)"
    return RengaError(.fileError, "cannot \(operation) '\(path)': \(text)")
}

/// Paths go to C as they are: an empty one or one with a NUL inside would name another file than the caller meant.
package func checkPath(_ path: String) throws(RengaError) {
    guard !path.isEmpty else { throw RengaError(.invalidArgument, "the file path is empty") }
    guard !path.utf8.contains(0) else { throw RengaError(.invalidArgument, "the file path holds a NUL character") }
}

/// True where `mode` (of `stat`) has the file type `type` (`S_IFREG`, …).
func isType(_ mode: mode_t, _ type: mode_t) -> Bool { mode & S_IFMT == type }
