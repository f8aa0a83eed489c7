// ContentFile.swift: a data file read from front to back, inflated on the way where it is gzip (RFC 1952, by the system's zlib).
// Not here: what the content means. Nothing is inflated beyond what the reader asks for, so a small file cannot become a big one in memory.
import CZlib
import Glibc
import RengaFormats
import RengaNetwork

/// The content of a file, plain or gzip (told by its first two bytes), read once from front to back.
final class ContentFile {
    /// Deflate cannot do better than 1032 to 1 (258 bytes from 2 bits).
    private static let bestRatio = 1032

    /// As given.
    var path: String { file.path }
    /// The content cannot be longer than this; exact for plain files.
    let mostBytes: Int
    /// True where the content is inflated.
    let isCompressed: Bool
    private let file: InputFile
    private let inflater: Inflater?
    private var offset = 0

    init(path: String) throws(RengaError) {
        let file = try InputFile(path: path)
        var magic: (UInt8, UInt8) = (0, 0)
        let got = try withUnsafeMutableBytes(of: &magic) { (bytes) throws(RengaError) in
            try file.readSome(bytes, at: 0)
        }
        self.file = file
        isCompressed = got == 2 && magic == (0x1F, 0x8B)
        inflater = isCompressed ? try Inflater(file) : nil
        let (most, overflow) = file.size.multipliedReportingOverflow(by: isCompressed ? ContentFile.bestRatio : 1)
        mostBytes = overflow ? .max : most
    }

    /// Fills `dst` with the next bytes; content that ends before is an error.
    func read(_ dst: UnsafeMutableRawBufferPointer) throws(RengaError) {
        let got = try readSome(dst)
        offset += got
        guard got == dst.count else {
            throw RengaError(
                .corruptData, "'\(path)' ends after \(offset) bytes of content; \(dst.count - got) more were expected")
        }
    }

    private func readSome(_ dst: UnsafeMutableRawBufferPointer) throws(RengaError) -> Int {
        if let inflater { return try inflater.read(dst) }
        return try file.readSome(dst, at: offset)
    }

    /// Reads a big-endian 32-bit number.
    func readBigEndian() throws(RengaError) -> UInt32 {
        var word: UInt32 = 0
        try withUnsafeMutableBytes(of: &word) { (bytes) throws(RengaError) in try read(bytes) }
        return UInt32(bigEndian: word)
    }

    /// Checks that the content ends here; for gzip this also verifies its checksum and length.
    func expectEnd() throws(RengaError) {
        var byte: UInt8 = 0
        let got = try withUnsafeMutableBytes(of: &byte) { (bytes) throws(RengaError) in
            try readSome(bytes)
        }
        guard got == 0 else {
            throw RengaError(.corruptData, "'\(path)' goes on after the \(offset) bytes that its header announces")
        }
    }
}

/// A gzip stream (one or more members) being inflated.
private final class Inflater {
    private static let chunkBytes = 1 << 16

    private let file: InputFile
    /// zlib checks that its stream stays at one address.
    private let stream: UnsafeMutablePointer<z_stream>
    private let chunk: UnsafeMutableRawBufferPointer
    private var offset = 0
    private var isAtMemberEnd = false

    init(_ file: InputFile) throws(RengaError) {
        self.file = file
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        chunk = .allocate(byteCount: Inflater.chunkBytes, alignment: 16)
        // 15 = largest window, + 16 = gzip wrapper only.
        let code = inflateInit2_(stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        // deinit runs from here on also when this throws; inflateEnd on a stream that never began only returns an error.
        guard code == Z_OK else { throw RengaError(.outOfMemory, "no memory to inflate '\(file.path)'") }
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
        chunk.deallocate()
    }

    /// Fills `dst` as far as the content goes; fewer bytes only at its end.
    func read(_ dst: UnsafeMutableRawBufferPointer) throws(RengaError) -> Int {
        var done = 0
        while done < dst.count, let base = dst.baseAddress {
            if stream.pointee.avail_in == 0 { try refill() }
            if isAtMemberEnd {
                guard stream.pointee.avail_in > 0 else { break }
                // Another member follows, or something that is not one: inflate will tell.
                guard inflateReset(stream) == Z_OK else { throw damaged() }
                isAtMemberEnd = false
            }
            let room = min(dst.count - done, 1 << 30)
            stream.pointee.next_out = (base + done).assumingMemoryBound(to: Bytef.self)
            stream.pointee.avail_out = UInt32(room)
            let isStarved = stream.pointee.avail_in == 0
            let code = inflate(stream, Z_NO_FLUSH)
            done += room - Int(stream.pointee.avail_out)
            guard code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR && !isStarved else { throw damaged() }
            isAtMemberEnd = code == Z_STREAM_END
        }
        return done
    }

    private func refill() throws(RengaError) {
        let got = try file.readSome(chunk, at: offset)
        offset += got
        stream.pointee.next_in = chunk.baseAddress?.assumingMemoryBound(to: Bytef.self)
        stream.pointee.avail_in = UInt32(got)
    }

    private func damaged() -> RengaError {
        let reason = stream.pointee.msg.map { String(cString: $0) } ?? "it ends early"
        return RengaError(.corruptData, "'\(file.path)' is not a whole gzip file: \(reason)")
    }
}
