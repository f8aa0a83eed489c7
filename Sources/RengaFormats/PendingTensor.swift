// PendingTensor.swift: a tensor of an open file that has yet to be read, by whoever needs it, as he needs it.
// Not here: which tensors wait (NetworkFile.open), what their numbers become (StreamedPacking in RengaExecution).
import RengaNetwork

/// A tensor that lies in a file; the file stays open as long as one of these is there. Any thread may read.
package struct PendingTensor: Sendable {
    let reader: SafetensorsReader
    let entry: SafetensorsHeader.Entry

    /// Number of elements.
    package var count: Int { (entry.end - entry.begin) / entry.type.bytes }

    /// The checksum of some elements in a row, and how many they are.
    package struct Part {
        var checksum: UInt32
        var count: Int
    }

    /// Reads elements from number `first` on. They are worth nothing before ``check(_:)`` has seen all parts.
    package func read(
        _ dst: UnsafeMutableBufferPointer<Float>, from first: Int
    ) throws(RengaError) -> Part {
        guard first >= 0, first <= count, dst.count <= count - first else {
            throw RengaError(.internalFault, "'\(entry.name)' has no elements \(first) to \(first + dst.count)")
        }
        return Part(checksum: try reader.read(entry, from: first, dst), count: dst.count)
    }

    /// Throws where `parts`, which are all elements in their order, are not what the file was made with.
    package func check(_ parts: some Sequence<Part>) throws(RengaError) {
        var checksum = CRC32C()
        for part in parts { checksum.join(part.checksum, count: part.count * entry.type.bytes) }
        try reader.check(entry, checksum)
    }

    /// The whole tensor, read by all threads and checked.
    package func load() throws(RengaError) -> Tensor {
        guard let tensor = try reader.read([entry])[entry.name] else {
            throw RengaError(.internalFault, "'\(entry.name)' was not read")
        }
        return tensor
    }
}
