// SafetensorsFile.swift: f32 tensors by name and text by name in one file that any safetensors reader opens.
// Not here: what the tensors are (NetworkFile; the training state in RengaTraining).
import RengaNetwork

/// The content of a safetensors file. A value: reading is all or nothing, writing puts a whole file in place or leaves what was there.
public struct SafetensorsFile: Sendable {
    /// Tensors by name.
    public var tensors: [String: Tensor]
    /// Text by name, without the checksums, which are the file's own affair.
    public var metadata: [String: String]
    /// True where the file carried checksums, which were then all right; false for a file by another program.
    public let isVerified: Bool

    /// Content to be written. Names must not be empty or `__metadata__`; metadata keys must not begin with `renga.checksum`.
    public init(tensors: [String: Tensor], metadata: [String: String] = [:]) {
        self.tensors = tensors
        self.metadata = metadata
        isVerified = false
    }

    /// Reads a file; numbers of any type become f32. Memory: the data's size, at most four times that (one-byte
    /// numbers); meanwhile at most 40 times the header's, which is at most 16 MB.
    /// Errors: fileError; corruptData (truncated, damaged, not such a file); unsupported (an element type unknown here); outOfMemory.
    public init(path: String) throws(RengaError) {
        try self.init(InputFile(path: path))
    }

    /// Reads the same from memory; `bytes` are read during the call only.
    public init(bytes: UnsafeRawBufferPointer) throws(RengaError) {
        try self.init(MemorySource(bytes: bytes))
    }

    private init(_ source: any ByteSource) throws(RengaError) {
        let reader = try SafetensorsReader(source)
        tensors = try reader.read(reader.entries)
        (metadata, isVerified) = (reader.metadata, reader.isVerified)
    }
}

// MARK: - Writing

extension SafetensorsFile {
    /// Writes the file: beside `path`, synced, renamed over it. On an error what stood at `path` is untouched.
    /// Errors: fileError (with path, operation and the system's words); invalidArgument (names, metadata).
    public func save(to path: String) throws(RengaError) {
        let encoded = try Encoded(self)
        let file = try AtomicFile(path: path)
        try encoded.write { (bytes) throws(RengaError) in try file.write(bytes) }
        try file.commit()
    }

    /// Writes the same bytes to memory: `prepare` gets their number and returns room for them, or throws.
    public func write(
        into prepare: (Int) throws(RengaError) -> UnsafeMutableRawBufferPointer
    ) throws(RengaError) {
        let encoded = try Encoded(self)
        let dst = try prepare(encoded.byteCount)
        guard dst.count >= encoded.byteCount else {
            throw RengaError(.invalidArgument, "the file has \(encoded.byteCount) bytes, the buffer \(dst.count)")
        }
        var place = 0
        try encoded.write { (bytes) throws(RengaError) in
            UnsafeMutableRawBufferPointer(rebasing: dst[place...]).copyMemory(from: bytes)
            place += bytes.count
        }
    }

    /// The header with all checksums, and the order of the tensors behind it.
    private struct Encoded {
        private let header: [UInt8]
        private let tensors: [Tensor]
        let byteCount: Int

        init(_ file: SafetensorsFile) throws(RengaError) {
            for key in file.metadata.keys where key.hasPrefix(SafetensorsChecksums.prefix) {
                throw RengaError(.invalidArgument, "the metadata key '\(key.prefix(200))' is reserved for checksums")
            }
            var header = try SafetensorsHeader(layingOut: file.tensors, metadata: file.metadata)
            let ordered = header.entries.compactMap { file.tensors[$0.name] }
            for (entry, tensor) in zip(header.entries, ordered) {
                header.metadata[SafetensorsChecksums.key(entry.name)] =
                    tensor.withUnsafeValues { CRC32C.text(of: UnsafeRawBufferPointer($0)) }
            }
            let bytes = try SafetensorsChecksums.sealed(header)
            self.header = bytes
            tensors = ordered
            byteCount = header.dataBytes.saturatingPlus(8 + bytes.count)
        }

        func write(to sink: (UnsafeRawBufferPointer) throws(RengaError) -> Void) throws(RengaError) {
            try withUnsafeBytes(of: UInt64(header.count).littleEndian) { (bytes) throws(RengaError) in try sink(bytes) }
            try header.withUnsafeBufferPointer { (bytes) throws(RengaError) in
                try sink(UnsafeRawBufferPointer(bytes))
            }
            for tensor in tensors {
                try tensor.withUnsafeValues { (values) throws(RengaError) in try sink(UnsafeRawBufferPointer(values)) }
            }
        }
    }
}
