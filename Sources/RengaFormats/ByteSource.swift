// ByteSource.swift: where the bytes of a file come from: the disk or the caller's memory.
// Not here: what they mean.
import Glibc
import RengaNetwork

/// Bytes of known number that can be read anywhere.
protocol ByteSource {
    /// Named in messages.
    var name: String { get }
    /// How many there are.
    var size: Int { get }
    /// Fills `dst` from `offset` on, or throws.
    func read(_ dst: UnsafeMutableRawBufferPointer, at offset: Int) throws(RengaError)
}

extension InputFile: ByteSource {
    var name: String { "'\(path)'" }
}

/// The caller's memory, borrowed for one call.
struct MemorySource: ByteSource {
    let bytes: UnsafeRawBufferPointer
    var name: String { "the file in memory" }
    var size: Int { bytes.count }

    func read(_ dst: UnsafeMutableRawBufferPointer, at offset: Int) throws(RengaError) {
        guard offset >= 0, offset <= size, dst.count <= size - offset else {
            throw RengaError(.corruptData, "\(name) ends at byte \(size); \(dst.count) at \(offset) were expected")
        }
        dst.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + dst.count]))
    }
}
