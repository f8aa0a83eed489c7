// SafetensorsReader.swift: an open safetensors file whose header has been read and checked, and whose tensors are read when they are asked
// for. Not here: its header's text (SafetensorsHeader), what the tensors are (NetworkFile), writing (SafetensorsFile).
import CRengaKernels
import RengaNetwork

/// A file, or bytes in memory, of known content. Any thread may read.
final class SafetensorsReader: @unchecked Sendable {
    /// The tensors, in the order of their data.
    let entries: [SafetensorsHeader.Entry]
    /// Text by name, without the checksums.
    let metadata: [String: String]
    /// True where the file carries checksums; they are checked as tensors are read.
    let isVerified: Bool
    private let source: any ByteSource
    private let dataStart: Int
    private let checksums: [String: String]

    /// Reads and checks the header. Errors: fileError; corruptData; unsupported.
    init(_ source: any ByteSource) throws(RengaError) {
        self.source = source
        let (header, dataStart, isVerified) = try SafetensorsReader.naming(source) { () throws(RengaError) in
            try SafetensorsReader.header(of: source)
        }
        (self.dataStart, self.isVerified, entries) = (dataStart, isVerified, header.entries)
        var (checksums, metadata): ([String: String], [String: String]) = ([:], [:])
        for (key, text) in header.metadata {
            if key.hasPrefix(SafetensorsChecksums.prefix) { checksums[key] = text } else { metadata[key] = text }
        }
        (self.checksums, self.metadata) = (checksums, metadata)
    }

    /// Named in messages.
    var name: String { source.name }

    /// Reads these tensors, by all threads, and checks them.
    func read(_ entries: [SafetensorsHeader.Entry]) throws(RengaError) -> [String: Tensor] {
        var found: [CRC32C] = []
        let values = try SafetensorsReader.naming(source) { () throws(RengaError) in
            try Tensor.together(entries.map(\.dimensions)) { (values) throws(RengaError) in
                let stretches = zip(entries, values).map { stretch($0, from: 0, $1) }
                found = try PieceReader.read(source, stretches)
            }
        }
        var tensors: [String: Tensor] = [:]
        for ((entry, tensor), checksum) in zip(zip(entries, values), found) {
            try check(entry, checksum)
            tensors[entry.name] = tensor
        }
        return tensors
    }

    /// Reads numbers of a tensor from number `first` on; returns the checksum of their bytes.
    func read(
        _ entry: SafetensorsHeader.Entry, from first: Int, _ dst: UnsafeMutableBufferPointer<Float>
    ) throws(RengaError) -> UInt32 {
        try SafetensorsReader.naming(source) { () throws(RengaError) in
            try stretch(entry, from: first, dst).read(from: source)
        }
    }

    /// Throws where `checksum`, of all of a tensor's bytes, is not the one in the header.
    func check(_ entry: SafetensorsHeader.Entry, _ checksum: CRC32C) throws(RengaError) {
        guard isVerified, checksums[SafetensorsChecksums.key(entry.name)] != checksum.text else { return }
        try SafetensorsReader.naming(source) { () throws(RengaError) in
            throw SafetensorsReader.damaged("tensor '\(entry.name.prefix(200))'")
        }
    }

    private func stretch(
        _ entry: SafetensorsHeader.Entry, from first: Int, _ dst: UnsafeMutableBufferPointer<Float>
    ) -> Stretch {
        Stretch(dst: dst, offset: dataStart + entry.begin + first * entry.type.bytes, type: entry.type)
    }

    /// What `body` finds wrong with the content names the file.
    private static func naming<Result>(
        _ source: any ByteSource, _ body: () throws(RengaError) -> Result
    ) throws(RengaError) -> Result {
        do throws(RengaError) {
            return try body()
        } catch {
            guard error.status == .corruptData || error.status == .unsupported else { throw error }
            throw RengaError(error.status, "\(source.name) cannot be read as safetensors: \(error.message)")
        }
    }

    private static func header(
        of source: any ByteSource
    ) throws(RengaError) -> (header: SafetensorsHeader, dataStart: Int, isVerified: Bool) {
        guard source.size >= 8 else { throw RengaError(.corruptData, "it has only \(source.size) bytes") }
        var word: UInt64 = 0
        try withUnsafeMutableBytes(of: &word) { (bytes) throws(RengaError) in try source.read(bytes, at: 0) }
        let length = UInt64(littleEndian: word)
        guard length <= SafetensorsHeader.mostBytes, Int(length) <= source.size - 8 else {
            throw RengaError(
                .corruptData,
                "its header would have \(length) bytes (the file \(source.size), at most \(SafetensorsHeader.mostBytes))"
            )
        }
        var bytes = [UInt8](repeating: 0, count: Int(length))
        try bytes.withUnsafeMutableBufferPointer { (bytes) throws(RengaError) in
            try source.read(UnsafeMutableRawBufferPointer(bytes), at: 8)
        }
        let dataStart = 8 + bytes.count
        let header = try SafetensorsHeader(parsing: bytes, dataBytes: source.size - dataStart)
        let isVerified = header.metadata.keys.contains { $0.hasPrefix(SafetensorsChecksums.prefix) }
        guard !isVerified || SafetensorsChecksums.isIntact(bytes) else { throw damaged("header") }
        return (header, dataStart, isVerified)
    }

    private static func damaged(_ what: String) -> RengaError {
        RengaError(.corruptData, "the checksum of its \(what) is wrong: damaged, or changed by another program")
    }
}
