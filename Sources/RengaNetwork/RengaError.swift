// RengaError.swift: the one error type of the engine: a status that hosts can switch on and a sentence that people can read.
// Not here: how it crosses the C border (RengaC).

/// What kind of failure it was. The raw values are those of `renga_status` in `renga.h` and never change.
public enum Status: Int32, Sendable, CaseIterable {
    /// A value, size, name or option outside its bounds.
    case invalidArgument = 1
    /// Shapes, types or layouts that do not fit each other.
    case shapeMismatch = 2
    /// A required pointer was NULL.
    case nullPointer = 3
    /// No memory for a buffer of the asked size.
    case outOfMemory = 4
    /// A file could not be opened, read, written, synced or renamed.
    case fileError = 5
    /// A file or buffer whose contents are not what its format says.
    case corruptData = 6
    /// Well-formed, but beyond what this version does.
    case unsupported = 7
    /// A callback asked to stop.
    case cancelled = 8
    /// The object is in use by another call, or not in a state for this one.
    case busy = 9
    /// Loss or data became NaN or infinite where that has no meaning.
    case notFinite = 10
    /// A name that is not known; the message lists the known ones.
    case notFound = 11
    /// A fault of Renga itself.
    case internalFault = 99
}

/// A failure: what, where, expected and got, in one sentence.
public struct RengaError: Error, Equatable, Sendable {
    /// The kind of failure.
    public let status: Status
    /// One sentence naming what, where, expected and got.
    public let message: String

    /// Makes an error from its kind and its sentence.
    public init(_ status: Status, _ message: String) {
        self.status = status
        self.message = message
    }
}
